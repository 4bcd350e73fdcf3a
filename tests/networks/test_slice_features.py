"""The network that judges vertebra by vertebra, on backbones that were trained on photographs."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.errors import TrainingError, UsageError
from cspine.networks.backbones import BACKBONES, CELLS, NAME, features
from cspine.networks.loading import load_network
from cspine.networks.options import VertebraBackbone
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.runtime import Engine, open_session
from cspine.specs import VertebraSpec
from cspine.training.core.conversion import write_ir
from cspine.training.vertebrae.family import SERVED, VertebraFamily
from cspine.training.vertebrae.settings import VertebraRecipe

SPEC = VertebraSpec(spacing_mm=(1.0, 1.0, 1.0), depth=12, size=(64, 80), slices=2, neighbours=2, window_hu=(-200.0, 1800.0))
SETTINGS = VertebraMILSettings(width=8, heads=2, mixers=1, backbone=VertebraBackbone.DENSENET121, weights="none")
PRETRAINED = [name for name in VertebraBackbone if name is not VertebraBackbone.OWN]


def crops(seed: int = 0) -> np.ndarray:
    """Returns noise around vertebrae in the middle of their crops."""
    fed = np.random.default_rng(seed).random((1, *SPEC.shape), dtype=np.float32)
    fed[..., -1] = 0
    fed[:, :, :, 16:48, 20:60, -1] = 1
    return fed


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return SETTINGS.build(SPEC, seed=3)


def test_all_backbones_have_a_name_in_the_settings() -> None:
    assert {name.value for name in PRETRAINED} == set(BACKBONES)


@pytest.mark.parametrize("name", BACKBONES)
def test_features_have_the_cells_that_are_asked_for(name: str) -> None:
    backbone = BACKBONES[name]
    size = [64 + sum(backbone.border), 96 + sum(backbone.border)]

    found = features(backbone, (None, None), count(0))(keras.Input((*size, 3)))

    for cell, one in zip(CELLS, found, strict=True):
        lost = int(name.startswith("inception") and cell > CELLS[0])  # windows of three cells leave out the last
        assert one.shape[1:3] == (64 // cell - lost, 96 // cell - lost)


def test_it_begins_with_the_slice_and_its_two_neighbours_as_colours(network: keras.Model) -> None:
    kernel = np.asarray(network.get_layer("colours").kernel)[0, 0]

    np.testing.assert_array_equal(kernel, np.eye(3, 5, 1).T)


def test_the_mask_joins_the_features_of_the_backbone(network: keras.Model) -> None:
    fed = crops()
    elsewhere = fed.copy()
    elsewhere[..., -1] = np.roll(fed[..., -1], 8, axis=3)

    maps = [np.asarray(network(one, training=False)["fracture_map"]) for one in (fed, elsewhere)]

    assert np.abs(maps[0] - maps[1]).max() > 1e-6


def test_photographs_reach_the_whole_network_and_its_part_on_slices(network: keras.Model, tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    other = keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(64, 64, 3))
    other.save(tmp_path / "photographs.h5")
    settings = replace(SETTINGS, weights=str(tmp_path / "photographs.h5"))
    settings.check(SPEC)
    settings.fetch()
    given = keras.Model(other.inputs, other.get_layer("pool4_relu").output).get_weights()
    whole = settings.build(SPEC, seed=4)

    for one in (whole, settings.build(SPEC, seed=4).on_slices((64, 64))):
        settings.pretrain(one)
        assert all(np.array_equal(a, b) for a, b in zip(one.get_layer(NAME).get_weights(), given, strict=True))
    SETTINGS.pretrain(network)
    assert not np.array_equal(network.get_layer(NAME).get_weights()[0], given[0])
    with pytest.raises(TrainingError, match="must hold the weights of InceptionV3"):
        replace(settings, backbone=VertebraBackbone.INCEPTION_V3).fetch()


def test_who_goes_on_from_a_trained_network_needs_no_photographs(
    network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, weights: str) -> None:
        raise TrainingError(f"{weights} of {name} cannot be had")

    monkeypatch.setattr("cspine.networks.backbones.fetch_pretrained", refuse)
    network.save(tmp_path / "trained.keras")
    recipe = VertebraRecipe("vertebra_mil", replace(SETTINGS, weights="imagenet"), SPEC)

    with pytest.raises(TrainingError, match="imagenet of densenet121 cannot be had"):
        VertebraFamily(recipe).check()
    VertebraFamily(replace(recipe, initial_weights=str(tmp_path / "trained.keras"))).check()


def test_the_part_on_slices_trains_the_backbone_of_the_whole(network: keras.Model) -> None:
    part = network.on_slices((64, 64))
    before = network.get_layer(NAME).get_weights()

    part.compile(optimizer="sgd", loss="binary_crossentropy", jit_compile=False)
    part.train_on_batch(np.random.default_rng(1).random((2, 64, 64, SPEC.channels), dtype=np.float32), np.ones((2, 8, 8, 1)))

    assert any(not np.array_equal(a, b) for a, b in zip(before, network.get_layer(NAME).get_weights(), strict=True))


@pytest.mark.parametrize("name", [name for name in PRETRAINED if "inception" not in name])  # slice networks are exported with those
def test_each_comes_back_from_disk_and_is_exported_with_the_same_answers(name: VertebraBackbone, tmp_path: Path) -> None:
    network = replace(SETTINGS, backbone=name).build(SPEC, seed=3)
    fed = crops(7)
    wanted = {key: np.asarray(value) for key, value in network(fed, training=False).items()}

    network.save(tmp_path / "network.keras")
    again = load_network(tmp_path / "network.keras")
    write_ir(keras.Model(network.inputs, {key: network.output[key] for key in SERVED}), tmp_path / "vertebrae.xml")
    served = open_session(tmp_path / "vertebrae.xml", Engine(threads=1)).run(fed)

    assert again.get_config() == network.get_config()
    for key, value in wanted.items():
        np.testing.assert_array_equal(np.asarray(again(fed, training=False)[key]), value)
    for key in SERVED:
        np.testing.assert_allclose(served[key], wanted[key], atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "size", "message"),
    [
        (SETTINGS, (64, 72), r"with densenet121 needs rows and columns that 16 divides, 64 at least. Received: \(64, 72\)"),
        (SETTINGS, (48, 80), "64 at least"),
        (replace(SETTINGS, weights="none.h5"), (64, 80), "There is no file none.h5"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_prepared(
    settings: VertebraMILSettings, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        settings.check(replace(SPEC, size=size))


def test_settings_of_the_other_kind_of_backbone_are_idle() -> None:
    assert set(SETTINGS.idle()) == {"widths", "close", "residual"}
    assert set(VertebraMILSettings(mixers=0).idle()) == {"weights", "heads"}
