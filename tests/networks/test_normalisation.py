import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from cspine.networks.backbones import BACKBONES, features
from cspine.networks.normalisation import FusedBatchNormalization

MOMENTUM = 0.9


@pytest.fixture
def inputs() -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(2, 3, (5, 4, 6, 8)).astype(np.float32)


def pair(**settings: bool | str) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """Returns the layer of Keras and ours, with the same weights."""
    made = [kind(momentum=MOMENTUM, **settings) for kind in (keras.layers.BatchNormalization, FusedBatchNormalization)]
    rng = np.random.default_rng(4)
    for layer in made:
        layer.build((None, 4, 6, 8))
    weights = [rng.uniform(0.5, 1.5, weight.shape) for weight in made[0].get_weights()]
    for layer in made:
        layer.set_weights(weights)
    return made[0], made[1]


def trained(layer: keras.layers.Layer, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Returns outputs, gradients and moving averages of one training step."""
    fed = tf.constant(inputs)
    factor = tf.constant(np.random.default_rng(5).normal(size=inputs.shape).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(fed)
        outputs = layer(fed, training=True)
        loss = tf.reduce_sum(outputs * factor)
    gradients = tape.gradient(loss, [fed, *(weight.value for weight in layer.trainable_variables)])
    return [np.asarray(one) for one in (outputs, *gradients, *layer.get_weights())]


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}])
def test_a_training_step_is_that_of_keras(settings: dict[str, bool], inputs: NDArray[np.float32]) -> None:
    expected, found = (trained(layer, inputs) for layer in pair(**settings))

    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_inference_and_a_frozen_layer_are_those_of_keras(inputs: NDArray[np.float32]) -> None:
    keras_layer, ours = pair()

    assert np.array_equal(ours(inputs, training=False), keras_layer(inputs, training=False))
    keras_layer.trainable = ours.trainable = False
    assert np.array_equal(ours(inputs, training=True), keras_layer(inputs, training=True))
    assert all(np.array_equal(one, other) for one, other in zip(ours.get_weights(), keras_layer.get_weights(), strict=True))


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}])
def test_inference_in_half_precision_is_that_of_keras_up_to_its_rounding(
    settings: dict[str, bool], inputs: NDArray[np.float32]
) -> None:
    pairs = pair(dtype="mixed_bfloat16", **settings)

    expected, found = (np.asarray(keras.ops.cast(layer(inputs, training=False), "float32")) for layer in pairs)

    np.testing.assert_allclose(found, expected, rtol=2**-7, atol=2**-7)


def test_in_half_precision_what_comes_out_has_the_number_type_of_what_went_in() -> None:
    layer = FusedBatchNormalization(dtype="mixed_bfloat16")

    outputs = layer(np.random.default_rng(0).normal(size=(4, 4, 4, 8)).astype(np.float32), training=True)

    assert outputs.dtype == tf.bfloat16
    assert layer.moving_variance.dtype == "float32"


def test_other_shapes_are_left_to_keras() -> None:
    rows = np.random.default_rng(0).normal(5, 1, (64, 3)).astype(np.float32)

    outputs = np.asarray(FusedBatchNormalization()(rows, training=True))

    np.testing.assert_allclose(outputs.mean(0), 0, atol=1e-4)


def test_every_backbone_trains_with_it() -> None:
    for backbone in BACKBONES.values():
        layers = features(backbone, (96, 96), iter(range(1000))).layers
        normalisations = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert bool(normalisations) == (backbone.function != "ConvNeXtTiny")  # it normalises layers
        assert all(isinstance(layer, FusedBatchNormalization) for layer in normalisations)
