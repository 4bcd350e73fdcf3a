from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.networks.custom_cnn import CustomCNN
from cspine.networks.layers import EvidencePooling, LevelAreas
from cspine.networks.settings import CustomCNNSettings
from cspine.specs import SliceSpec

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(32, 48), neighbours=2, window_hu=(-200.0, 1300.0))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return CustomCNN(input_shape=(32, 32, 3), widths=(4, 5, 6, 7), head_width=9, dropout=0.3, seed=5, name="other", trainable=False)


def test_every_argument_is_in_the_config_and_comes_back(network: keras.Model) -> None:
    config = network.get_config()

    again = CustomCNN.from_config(config).get_config()

    assert again == config
    assert {key: config[key] for key in ("input_shape", "widths", "head_width", "dropout", "seed", "name", "trainable")} == {
        "input_shape": (32, 32, 3),
        "widths": (4, 5, 6, 7),
        "head_width": 9,
        "dropout": 0.3,
        "seed": 5,
        "name": "other",
        "trainable": False,
    }


def test_a_saved_network_answers_bit_for_bit_as_before(network: keras.Model, tmp_path: Path) -> None:
    slices = np.random.default_rng(0).random((2, 32, 32, 3), dtype=np.float32)
    network.save(tmp_path / "network.keras")

    loaded = keras.saving.load_model(tmp_path / "network.keras")

    for name, answer in network.predict_on_batch(slices).items():
        np.testing.assert_array_equal(loaded.predict_on_batch(slices)[name], answer)


def test_the_settings_build_what_they_promise_the_same_for_the_same_seed() -> None:
    settings = CustomCNNSettings(widths=(4, 4, 4, 4))
    slices = np.random.default_rng(0).random((1, *SPEC.size, SPEC.channels), dtype=np.float32)

    first, second, other = (settings.build(SPEC, seed=seed)(slices) for seed in (1, 1, 2))

    assert {name: tuple(answer.shape) for name, answer in first.items()} == {
        "fracture": (1, 7),
        "visible": (1, 7),
        "level_map": (1, 4, 6, 8),
    }
    np.testing.assert_array_equal(first["level_map"], second["level_map"])
    assert not np.array_equal(first["level_map"], other["level_map"])


def test_a_slice_that_cannot_be_halved_often_enough_is_refused() -> None:
    with pytest.raises(UsageError, match="multiples of 32"):
        CustomCNNSettings().build(SliceSpec((2.0, 2.0, 2.0), (48, 48), 1, (0.0, 1.0)), seed=0)


def test_evidence_counts_for_the_level_that_it_lies_in_however_small_it_is() -> None:
    where = np.zeros((1, 4, 4, 8), dtype=np.float32)
    where[..., 0] = 1
    where[0, :2, :, :] = np.eye(8)[3]
    where[0, 2, :, :] = np.eye(8)[4]
    evidence = np.full((1, 4, 4, 1), -9.0, dtype=np.float32)
    evidence[0, 1, 2] = 6

    logits = np.asarray(EvidencePooling()([evidence, where]))[0]

    assert logits[2] == pytest.approx(6, abs=0.01)
    assert logits[3] < -2
    assert logits[[0, 1, 4, 5, 6]].max() < -2


def test_areas_are_counted_in_cells() -> None:
    where = np.zeros((1, 4, 4, 8), dtype=np.float32)
    where[0, :3, :, 2] = 1

    areas = np.exp(np.asarray(LevelAreas()(where)))

    np.testing.assert_allclose(areas, [[0, 12, 0, 0, 0, 0, 0]], atol=2e-4)


def test_layers_keep_their_arguments() -> None:
    layer = EvidencePooling(levels=3, name="pool")

    assert EvidencePooling.from_config(layer.get_config()).get_config() == layer.get_config()
    assert layer.get_config()["levels"] == 3
