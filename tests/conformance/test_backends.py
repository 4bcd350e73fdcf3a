"""The training wing on another framework than TensorFlow."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.networks.loading import load_network

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_network_trained_on_another_framework_says_the_same_on_tensorflow(backend: str, tmp_path: Path) -> None:
    if not find_spec(backend):
        pytest.skip(f"needs {backend} beside TensorFlow: pip install {backend}")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("compares with TensorFlow")
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # a network of a few weights takes longer to compile than to train
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }

    command = [sys.executable, "-m", "tests.conformance.other_backend", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "told.npz") as told:
        answers = load_network(tmp_path / "network.keras").predict_on_batch(told["slices"])
        assert str(told["backend"]) == backend
        assert told["losses"][-1] < 0.8 * told["losses"][0]
        for name, answer in answers.items():
            np.testing.assert_allclose(answer, told[name], atol=1e-4)
