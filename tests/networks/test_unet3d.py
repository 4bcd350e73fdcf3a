from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.networks.loading import load_network
from cspine.networks.unet3d import UNet3D
from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import VolumeSpec
from cspine.training.core.losses import KnownDiceCrossentropy

SPEC = VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(8, 16, 16), window_hu=(-300.0, 1300.0))
ARGUMENTS: dict[str, Any] = {"input_shape": (8, 16, 16, 1), "widths": (4, 6, 8), "classes": 5, "seed": 7}


def windows() -> np.ndarray:
    return np.random.default_rng(0).random((2, *SPEC.size, 1)).astype(np.float32)


def test_every_argument_is_in_the_configuration() -> None:
    config = UNet3D(**ARGUMENTS).get_config()

    assert {name: config[name] for name in ARGUMENTS} == ARGUMENTS
    assert UNet3D.from_config(config).get_config() == config


def test_it_says_for_every_voxel_how_likely_each_class_is() -> None:
    found = UNet3DSettings(widths=(4, 8)).build(SPEC, seed=0).predict_on_batch(windows())["levels"]

    assert found.shape == (2, *SPEC.size, 10)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


def test_a_saved_network_says_the_same(tmp_path: Path) -> None:
    network = UNet3D(**ARGUMENTS)
    network.save(tmp_path / "network.keras")

    again = load_network(tmp_path / "network.keras")

    np.testing.assert_array_equal(again.predict_on_batch(windows())["levels"], network.predict_on_batch(windows())["levels"])


def test_learning_the_same_batch_lowers_its_loss() -> None:
    network = UNet3D(**ARGUMENTS)
    network.compile(keras.optimizers.Adam(0.01), KnownDiceCrossentropy(), jit_compile=False)
    classes = (windows()[..., 0] * 5).astype(int).astype(np.float32)

    losses = [float(network.train_on_batch(windows(), classes)) for _ in range(25)]

    assert losses[-1] < 0.8 * losses[0]


def test_windows_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(UsageError, match="needs sides that 16 divides"):
        UNet3DSettings().check(SPEC)
