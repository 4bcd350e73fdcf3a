"""Tests which layers learn in a network whose evidence was trained on patches."""

from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.networks.backbones import NAME
from cspine.networks.freezing import prepare_heads, set_trainable
from cspine.networks.options import BackboneName, Learning, LearningStage
from cspine.networks.settings import TransferSettings, UNetTransferSettings
from cspine.specs import SliceSpec
from cspine.training.core.layer_weights import with_layers_of

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(64, 64), neighbours=1, window_hu=(-200.0, 1300.0))
DENSENET = BackboneName.DENSENET121
FINE = "pool3_relu"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    """Returns a network whose evidence comes from a file of patches, and stays as it is."""
    settings = TransferSettings(DENSENET, weights="none", head_width=8, near=True)
    path = tmp_path_factory.mktemp("patches") / "last.keras"
    settings.build(SPEC, seed=1).on_patches().save(path)
    return with_layers_of(lambda: settings.build(SPEC, seed=2), path, frozen=True)


def test_the_layers_after_the_fine_features_learn_to_name_levels_and_those_that_patches_trained_stay(
    network: keras.Model,
) -> None:
    prepare_heads(network, LearningStage(Learning.ALL))
    before = {layer.name: layer.get_weights() for layer in network.get_layer(NAME).layers if layer.weights}

    network.compile("sgd", dict.fromkeys(network.output, "mean_squared_error"), jit_compile=False)
    slices = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    network.train_on_batch(slices, {name: np.zeros((2, *out.shape[1:]), np.float32) for name, out in network.output.items()})

    layers = network.get_layer(NAME).layers
    first = [layer.name for layer in layers].index(FINE) + 1
    changed = {layer.name for layer in layers if layer.weights and any(map(_differ, before[layer.name], layer.get_weights()))}
    assert changed == {layer.name for layer in layers[first:] if layer.weights}


@pytest.mark.parametrize("normalisation", [False, True])
def test_the_layers_after_the_fine_features_are_fine_tuned_where_the_whole_backbone_will_be(
    network: keras.Model, *, normalisation: bool
) -> None:
    prepare_heads(network, LearningStage(Learning.TUNING, tuned_from="all", normalisation=normalisation))

    layers = network.get_layer(NAME).layers
    beyond = layers[[layer.name for layer in layers].index(FINE) + 1 :]
    wanted = {one.name for one in beyond if one.weights and (normalisation or not isinstance(one, keras.layers.BatchNormalization))}
    assert {layer.name for layer in layers if layer.trainable_weights} == wanted


def test_a_backbone_stays_as_it_is_where_only_the_heads_learn(network: keras.Model) -> None:
    network.get_layer(NAME).trainable = False

    prepare_heads(network, LearningStage(Learning.HEADS))

    assert not network.get_layer(NAME).trainable_weights


@pytest.mark.parametrize("normalisation", [False, True])
def test_batch_normalisation_is_fine_tuned_where_the_settings_say_so(network: keras.Model, *, normalisation: bool) -> None:
    settings = TransferSettings(DENSENET, head_epochs=0, tuned_from="all", tuned_normalisation=normalisation)
    (stage,) = settings.stages

    set_trainable(network, stage)

    trained = {layer.name for layer in network.get_layer(NAME).layers if layer.trainable_weights}
    assert {"conv1_conv", "conv5_block16_2_conv"} <= trained
    assert ({"conv1_bn", "bn"} <= trained) == normalisation


@pytest.mark.parametrize("fine_only", [False, True])
def test_the_part_that_learns_from_patches_is_fine_tuned_as_far_as_patches_reach(*, fine_only: bool) -> None:
    settings = TransferSettings(DENSENET, head_width=8, near=fine_only)
    part = settings.build(SPEC, seed=1).on_patches()
    usual, whole = (LearningStage(Learning.TUNING, tuned_from=name) for name in ("", "all"))

    trained = []
    for stage in (usual, whole):
        set_trainable(part, stage, fine_only=fine_only)
        trained.append({layer.name for layer in part.get_layer(NAME).layers if layer.trainable_weights})

    assert ["conv1_conv" in names for names in trained] == [False, True]
    assert ("conv5_block16_2_conv" in trained[0]) == ("conv5_block16_2_conv" in trained[1]) == (not fine_only)


def test_with_fine_features_alone_the_whole_backbone_is_fine_tuned_by_default() -> None:
    for kind in (TransferSettings, UNetTransferSettings):
        settings = kind(DENSENET, head_width=8, near=True)
        network = settings.build(SPEC, seed=1)

        set_trainable(network.on_patches(), settings.stages[-1], fine_only=True)

        assert network.get_layer(NAME).get_layer("conv1_conv").trainable


def test_the_backbone_of_a_unet_that_looks_near_ends_at_its_fine_features(tmp_path: Path) -> None:
    settings = UNetTransferSettings(DENSENET, weights="none", widths=(4, 4, 6), head_width=8, near=True)
    given = keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(64, 64, 3))
    given.save_weights(tmp_path / "given.weights.h5")

    network = settings.build(SPEC, seed=1)
    UNetTransferSettings(DENSENET, weights=str(tmp_path / "given.weights.h5")).pretrain(network)

    backbone = network.get_layer(NAME)
    assert backbone.layers[-1].name == FINE
    np.testing.assert_array_equal(backbone.get_weights()[0], given.get_weights()[0])


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return not np.array_equal(one, other)
