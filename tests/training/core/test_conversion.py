"""Normalisations become one operation in what is served, and say the same as before."""

from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.networks.unet3d import UNet3D, of_any_window
from cspine.runtime import Engine, open_session
from cspine.runtime.openvino import ov
from cspine.training.core.conversion import fuse_normalisation, write_ir


def kinds(path: Path) -> list[str]:
    return [node.get_type_name() for node in ov.Core().read_model(path).get_ops()]


def normalised(groups: int, axis: int = -1) -> keras.Model:
    """Returns a network of one normalisation whose scale and offset are not 1 and 0."""
    seen = keras.Input((None, None, None, 6), name="window")
    layer = keras.layers.GroupNormalization(groups, axis=axis, epsilon=0.01)
    network = keras.Model(seen, {"levels": layer(seen)})
    layer.set_weights([np.linspace(0.5, 2, 6), np.linspace(-1, 1, 6)])
    return network


def test_a_u_net_says_the_same_with_one_operation_for_each_normalisation(tmp_path: Path) -> None:
    network = of_any_window(UNet3D(input_shape=(8, 8, 8, 2), widths=(4, 6, 8), classes=3, seed=1))
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign(variable + rng.normal(0, 0.1, variable.shape))

    write_ir(network, tmp_path / "unet.xml")

    found = kinds(tmp_path / "unet.xml")
    assert found.count("MVN") == 10
    assert not {"SquaredDifference", "ReduceMean"} & set(found)
    session = open_session(tmp_path / "unet.xml", Engine(precision="f32"))
    for shape in ((1, 8, 8, 8, 2), (2, 4, 12, 8, 2)):
        window = rng.random(shape, dtype=np.float32)
        np.testing.assert_allclose(session.run(window)["levels"], network.predict_on_batch(window)["levels"], atol=1e-5)


def test_scale_offset_and_epsilon_are_those_of_the_network(tmp_path: Path) -> None:
    network = normalised(-1)
    window = np.random.default_rng(1).normal(0, 0.1, (1, 4, 4, 4, 6)).astype(np.float32)

    write_ir(network, tmp_path / "one.xml")

    assert "MVN" in kinds(tmp_path / "one.xml")
    predicted = open_session(tmp_path / "one.xml", Engine(precision="f32")).run(window)["levels"]
    np.testing.assert_allclose(predicted, network.predict_on_batch(window)["levels"], atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_maps_that_are_normalised_together_stay_as_they_are(groups: int, tmp_path: Path) -> None:
    network = normalised(groups)
    window = np.random.default_rng(2).random((1, 4, 4, 4, 6), dtype=np.float32)

    write_ir(network, tmp_path / "groups.xml")

    assert "MVN" not in kinds(tmp_path / "groups.xml")
    predicted = open_session(tmp_path / "groups.xml", Engine(precision="f32")).run(window)["levels"]
    np.testing.assert_allclose(predicted, network.predict_on_batch(window)["levels"], atol=1e-5)


def test_a_network_without_is_left_alone(tmp_path: Path) -> None:
    seen = keras.Input((4, 4, 1), name="slices")
    write_ir(keras.Model(seen, {"fracture": keras.layers.Conv2D(2, 3)(seen)}), tmp_path / "plain.xml")

    assert fuse_normalisation(ov.Core().read_model(tmp_path / "plain.xml")) == 0
