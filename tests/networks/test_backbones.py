from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.error import URLError

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cspine.errors import TrainingError, UsageError
from cspine.networks.backbones import BACKBONES, NAME, Backbone, backbone_named, features, load_pretrained
from cspine.networks.pyramid import Pyramid

EXPECTED = {
    "densenet121": keras.applications.densenet.preprocess_input,
    "inception_v3": keras.applications.inception_v3.preprocess_input,
    "inception_resnet_v2": keras.applications.inception_resnet_v2.preprocess_input,
}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Returns a network that holds a backbone."""
    image = keras.Input((64, 64, 3))
    return keras.Model(image, features(BACKBONES["densenet121"], (64, 64), count(7))(image))


@pytest.fixture(scope="module")
def other() -> keras.Model:
    """Returns a backbone with other weights."""
    keras.utils.set_random_seed(5)
    return keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(64, 64, 3))


@pytest.fixture
def untouched(network: keras.Model) -> Iterator[keras.Model]:
    """Yields the network; afterwards its weights are as before."""
    before = network.get_weights()
    yield network
    network.set_weights(before)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_is_fed_what_it_was_trained_on(name: str) -> None:
    channels = np.random.default_rng(0).random((1, 4, 4, 3), dtype=np.float32)
    backbone = backbone_named(name)

    fed = layers.Rescaling(list(backbone.scale), list(backbone.offset))(channels)

    expected = _first_step(backbone) if backbone.prepares else EXPECTED[name]
    np.testing.assert_allclose(fed, expected(255 * channels), atol=1e-5)


def _first_step(backbone: Backbone) -> keras.layers.Layer:
    """Returns the layer that keras.applications puts first, unless it is left out."""
    whole = getattr(keras.applications, backbone.function)(include_top=False, weights=None, input_shape=(64, 64, 3))
    return next(layer for layer in whole.layers if isinstance(layer, layers.Rescaling | layers.Normalization))


@pytest.mark.parametrize("name", ["densenet121", "inception_v3"])
def test_a_cell_lies_over_the_pixels_of_its_number(name: str) -> None:
    pyramid = Pyramid(backbone_named(name), (288, 320), 2, count(0))  # the cell sees no border
    image = keras.Input((288, 320, 3))
    network = keras.Model(image, pyramid._features(pyramid._border(image))[0])
    for variable in network.trainable_variables:
        if variable.name == "kernel":
            variable.assign(np.full(variable.shape, 1 / np.prod(variable.shape[:-1])))
    pixels = tf.Variable(np.random.default_rng(0).random((1, 288, 320, 3), dtype=np.float32))  # pooling finds a largest everywhere

    with tf.GradientTape() as tape:
        cell = tf.reduce_sum(network(pixels)[0, 17, 20])
    influence = np.asarray(tape.gradient(cell, pixels))[0].sum(axis=-1)

    assert network.output_shape[1:3] == (36, 40)
    centre = [np.average(np.arange(n), weights=influence.sum(axis=1 - axis)) for axis, n in enumerate((288, 320))]
    np.testing.assert_allclose(centre, [17 * 8 + 3.5, 20 * 8 + 3.5], atol=2)


def test_the_largest_backbone_has_what_is_read_from_it_and_is_tuned_from() -> None:
    backbone = backbone_named("inception_resnet_v2")

    network = features(backbone, (96 + sum(backbone.border), 128 + sum(backbone.border)), count(0))

    assert network.output_shape[0][1:3] == (12, 16)
    assert [shape[-1] for shape in network.output_shape] == [320, 1088, 1536]
    assert len(network.layers) > 700
    assert network.get_layer(backbone.tuned_from) is not None


def test_a_magnified_cell_lies_over_the_pixels_of_its_number() -> None:
    pyramid = Pyramid(backbone_named("densenet121"), (128, 160), 2, count(0), magnify=2)
    image = keras.Input((128, 160, 3))
    network = keras.Model(image, pyramid(image))
    for variable in network.trainable_variables:
        if variable.name == "kernel":
            variable.assign(np.full(variable.shape, 1 / np.prod(variable.shape[:-1])))
    pixels = tf.Variable(np.random.default_rng(0).random((1, 128, 160, 3), dtype=np.float32))

    with tf.GradientTape() as tape:
        cell = tf.reduce_sum(network(pixels)[1][0, 7, 11])
    influence = np.abs(np.asarray(tape.gradient(cell, pixels))[0]).sum(axis=-1)

    assert [shape[1:] for shape in network.output_shape] == [(16, 20, 2), (16, 20, 2)]
    centre = [np.average(np.arange(n), weights=influence.sum(axis=1 - axis)) for axis, n in enumerate((128, 160))]
    np.testing.assert_allclose(centre, [7 * 8 + 3.5, 11 * 8 + 3.5], atol=4)


@pytest.mark.parametrize("file", ["backbone.weights.h5", "backbone.h5"])
def test_weights_of_a_file_are_put_into_the_backbone(untouched: keras.Model, other: keras.Model, tmp_path: Path, file: str) -> None:
    save = other.save_weights if file.endswith(".weights.h5") else other.save
    save(tmp_path / file)

    load_pretrained(untouched, "densenet121", str(tmp_path / file))

    for put, given in zip(untouched.get_layer(NAME).get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(put, given)


def test_weights_of_another_network_are_refused_and_change_nothing(untouched: keras.Model, tmp_path: Path) -> None:
    before = untouched.get_weights()
    wrong = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    wrong.save_weights(tmp_path / "wrong.weights.h5")
    (tmp_path / "damaged.h5").write_bytes(b"half a file")

    for name in ("wrong.weights.h5", "damaged.h5"):
        with pytest.raises(TrainingError, match=r"must hold the weights of DenseNet121 without its classifier.*--weights\.$"):
            load_pretrained(untouched, "densenet121", str(tmp_path / name))
    with pytest.raises(TrainingError, match="There is no file"):
        load_pretrained(untouched, "densenet121", str(tmp_path / "none.h5"))
    for now, then in zip(untouched.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_without_a_connection_imagenet_is_refused_with_what_to_do(
    untouched: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", unreachable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path), raising=False)
    before = untouched.get_weights()

    with pytest.raises(
        TrainingError, match=r"must be downloaded, and that failed.*--weights PATH with densenet121_.*_notop\.h5.*none"
    ) as told:
        load_pretrained(untouched, "densenet121", "imagenet")

    assert "\n" not in str(told.value)
    np.testing.assert_array_equal(untouched.get_weights()[0], before[0])


def test_none_leaves_the_backbone_as_it_is(untouched: keras.Model) -> None:
    before = untouched.get_weights()

    load_pretrained(untouched, "densenet121", "none")

    np.testing.assert_array_equal(untouched.get_weights()[0], before[0])


def test_fresh_weights_follow_from_the_seed(network: keras.Model) -> None:
    same, different = (features(BACKBONES["densenet121"], (64, 64), count(seed)) for seed in (7, 8))

    kernels = [np.asarray(one.trainable_variables[0].value) for one in (network.get_layer(NAME), same, different)]

    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_an_unknown_backbone_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no backbone vgg\. Known: densenet121, inception_v3, inception_resnet_v2"):
        backbone_named("vgg")
