"""Training on several devices of one machine."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_devices_share_each_batch_and_go_on_after_a_kill_with_the_result_of_one_up_to_rounding(tmp_path: Path) -> None:
    if not find_spec("jax"):
        pytest.skip("needs jax beside TensorFlow: pip install jax")
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }

    command = [sys.executable, "-m", "tests.conformance.several_devices", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert told["lie_on"] == [1, 2]
    assert 0 < told["difference"] < 1e-4
    assert "divisible" in told["uneven"] or "evenly" in told["uneven"]
    assert told["too_many"].startswith("--devices 3 needs 3 devices. Received: cpu:0, cpu:1.")
    assert told["left"]
