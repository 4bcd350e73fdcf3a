"""Fills the memory of every framework: the search for a batch knows what each of them raises."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_largest_batch_is_found_by_what_the_framework_raises(backend: str, tmp_path: Path) -> None:
    if not find_spec(backend):
        pytest.skip(f"needs {backend}: pip install {backend}")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}

    command = [sys.executable, "-m", "tests.conformance.full_memory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert told["backend"] == backend
    assert told["found"] == [8, 16]
    assert told["refused"].startswith("A step of 16 examples does not fit into the memory of the device.")
