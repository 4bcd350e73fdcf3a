"""The network that judges vertebra by vertebra."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.networks.loading import load_network
from cspine.networks.vertebra_mil import VertebraMIL
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.runtime import Engine, open_session
from cspine.specs import VertebraSpec
from cspine.training.core.conversion import write_ir
from cspine.training.core.loop import TrainingTask
from cspine.training.vertebrae.family import SERVED, VertebraFold, vertebra_task
from cspine.training.vertebrae.settings import VertebraRecipe

SPEC = VertebraSpec(spacing_mm=(1.0, 1.0, 1.0), depth=12, size=(32, 48), slices=4, neighbours=1, window_hu=(-200.0, 1800.0))
SETTINGS = VertebraMILSettings(widths=(4, 4, 6, 8), close=5, residual=True, width=8, mixers=1, heads=2, dropout=0.1)


def task() -> TrainingTask[Any]:
    return vertebra_task(VertebraRecipe("vertebra_mil", SETTINGS, SPEC), VertebraFold(0, [], []), lambda: SETTINGS.build(SPEC, 0))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return SETTINGS.build(SPEC, seed=3)


def crops(count: int = 2, absent: tuple[int, ...] = ()) -> np.ndarray:
    """Returns noise around vertebrae in the middle of their crops."""
    rng = np.random.default_rng(count)
    fed = rng.random((count, *SPEC.shape), dtype=np.float32)
    fed[..., -1] = 0
    fed[:, :, :, 8:24, 12:36, -1] = 1
    fed[:, list(absent)] = 0
    return fed


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_in_mixed_precision_only_the_backbone_is_coarse(policy: str, network: keras.Model) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = SETTINGS.build(SPEC, seed=3)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(network.get_weights())

    fed = crops()
    for name, answer in says(network, fed).items():
        assert np.abs(says(mixed, fed)[name] - answer).max() < 0.01, name
    sublayers = [layer for layer in mixed._flatten_layers(include_self=False) if layer.weights]
    coarse = {layer.name for layer in sublayers if layer.compute_dtype != "float32"}
    assert {name.split("_")[0].rstrip("ab") for name in coarse} <= {
        "stem",
        "close",
        "stage1",
        "stage2",
        "stage3",
        "context",
        "neck",
        "evidence",
    }
    assert "evidence" in coarse

    mixed.compile(optimizer="sgd", loss={"fracture": "binary_crossentropy", "overall": "binary_crossentropy"}, jit_compile=False)
    truth = {"fracture": np.ones((2, 7), np.float32), "overall": np.ones((2, 1), np.float32)}
    losses = mixed.fit(fed, truth, epochs=3, batch_size=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def says(network: keras.Model, fed: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(answer) for name, answer in network(fed, training=False).items()}


def test_it_says_of_levels_slices_and_cells_how_much_they_look_broken(network: keras.Model) -> None:
    predicted = says(network, crops())

    assert {name: answer.shape for name, answer in predicted.items()} == {
        "fracture": (2, 7),
        "overall": (2, 1),
        "slices": (2, 7, 4),
        "attention": (2, 7, 4),
        "fracture_map": (2, 7, 4, 4, 6),
    }
    assert all(answer.min() >= 0 and answer.max() <= 1 for answer in predicted.values())
    np.testing.assert_allclose(predicted["attention"].sum(axis=-1), 1, atol=1e-5)


def test_cells_beside_the_vertebra_count_as_its_own_as_the_input_says() -> None:
    slices = crops(1).reshape(-1, *crops(1).shape[3:])

    narrow, wide = (
        np.asarray(SETTINGS.build(replace(SPEC, neighbour_weight=beside), seed=3).get_layer("own_cells")(slices))
        for beside in (0.0, 0.5)
    )

    np.testing.assert_array_equal(narrow[0, :, 2, 0], [0, 1, 1, 0])
    np.testing.assert_array_equal(wide[0, :, 2, 0], [0.5, 1, 1, 0.5])


@pytest.mark.parametrize("close", [0, 5])
def test_slices_are_looked_at_closely_before_they_are_pooled(close: int) -> None:
    built = replace(SETTINGS, close=close).build(SPEC, seed=3)

    close_by = [layer.output.shape for layer in built.layers if layer.name == "bridge1"]
    assert close_by == ([(None, 16, 24, close)] if close else [])
    assert built.get_layer("pool2").input.shape == (None, 16, 24, close or 4)


def test_it_comes_back_from_disk_bit_for_bit_with_every_argument(network: keras.Model, tmp_path: Path) -> None:
    network.save(tmp_path / "network.keras")

    loaded = load_network(tmp_path / "network.keras")

    arguments = set(inspect.signature(VertebraMIL.__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(loaded.get_config())
    assert loaded.get_config() == network.get_config()
    assert {**loaded.get_config(), "seed": 3, "dropout": 0.1, "residual": True} == loaded.get_config()
    for name, answer in says(network, crops()).items():
        np.testing.assert_array_equal(says(loaded, crops())[name], answer)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others() -> None:
    one, same, other = (SETTINGS.build(SPEC, seed).get_weights() for seed in (1, 1, 2))

    assert all(np.array_equal(*pair) for pair in zip(one, same, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_steps_on_a_repeated_batch_lower_its_loss() -> None:
    network = SETTINGS.build(SPEC, seed=1)
    network.compile(keras.optimizers.Adam(0.01), task().losses, loss_weights=task().weights, run_eagerly=True)
    broken = np.zeros((2, 7), np.float32)
    broken[0, 2] = 1
    cells = np.zeros((2, 7, 4, 4, 6), np.float32)
    cells[0, 2, 1, 2, 3] = 1
    targets = {
        "fracture": broken,
        "overall": broken.max(axis=1, keepdims=True),
        "slices": cells.max(axis=(3, 4)),
        "fracture_map": cells,
    }

    found = []
    for _ in range(6):
        network.reset_metrics()
        found.append(float(network.train_on_batch(crops(), targets, return_dict=True)["loss"]))

    assert found[-1] < 0.9 * found[0]


def test_what_is_not_known_moves_no_weight() -> None:
    unknown = {name: np.full(shape, -1, np.float32) for name, shape in {"fracture": (2, 7), "slices": (2, 7, 4)}.items()}
    predicted = {name: np.full_like(target, 0.3) for name, target in unknown.items()}
    losses: Any = task().losses

    assert [float(losses[name](unknown[name], predicted[name])) for name in unknown] == [0, 0]
    assert float(losses["fracture"](unknown["fracture"] + 1, predicted["fracture"])) > 0


def test_a_level_without_a_mask_is_not_there_whatever_its_picture_shows(network: keras.Model) -> None:
    hidden = crops(absent=(3,))
    noisy = hidden.copy()
    noisy[:, 3, ..., :-1] = np.random.default_rng(5).random(noisy[:, 3, ..., :-1].shape)
    marked = noisy.copy()
    marked[:, 3, ..., -1] = 1
    others = [0, 1, 2, 4, 5, 6]

    before, after, seen = says(network, hidden), says(network, noisy), says(network, marked)

    np.testing.assert_array_equal(before["overall"], after["overall"])
    np.testing.assert_array_equal(before["fracture"][:, others], after["fracture"][:, others])
    assert np.all(np.abs(before["overall"] - seen["overall"]) > 1e-4)
    assert np.abs(before["fracture"][:, others] - seen["fracture"][:, others]).max() > 1e-6


def test_a_hidden_level_changes_slices_and_cells_of_no_other(network: keras.Model) -> None:
    whole, hidden = says(network, crops()), says(network, crops(absent=(0,)))

    for name in ("slices", "attention", "fracture_map"):
        np.testing.assert_allclose(whole[name][:, 1:], hidden[name][:, 1:], atol=1e-6)
        assert not np.allclose(whole[name][:, 0], hidden[name][:, 0], atol=1e-4)


def test_without_mixers_each_level_is_classified_alone_and_any_fracture_is_their_noisy_or() -> None:
    alone = replace(SETTINGS, mixers=0).build(SPEC, seed=2)
    there = np.array([True, True, False, True, True, False, True])

    whole, some = says(alone, crops()), says(alone, crops(absent=(2, 5)))

    np.testing.assert_allclose(whole["fracture"][:, there], some["fracture"][:, there], atol=1e-6)
    np.testing.assert_allclose(whole["overall"][:, 0], 1 - np.prod(1 - whole["fracture"], axis=1), rtol=1e-4)
    np.testing.assert_allclose(some["overall"][:, 0], 1 - np.prod(1 - some["fracture"][:, there], axis=1), rtol=1e-4)


def test_a_scan_without_any_vertebra_is_answered_in_numbers(network: keras.Model) -> None:
    predicted = says(network, crops(absent=tuple(range(7))))

    assert all(np.all(np.isfinite(answer)) for answer in predicted.values())


def test_the_exported_network_says_the_same_of_one_study_and_of_two(network: keras.Model, tmp_path: Path) -> None:
    write_ir(keras.Model(network.inputs, {name: network.output[name] for name in SERVED}), tmp_path / "vertebrae.xml")
    session = open_session(tmp_path / "vertebrae.xml", Engine(threads=1))

    for fed in (crops(1), crops(2, absent=(0, 6))):
        answers, wanted = session.run(fed), says(network, fed)
        assert set(answers) == set(SERVED)
        for name, answer in answers.items():
            np.testing.assert_allclose(answer, wanted[name], atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "spec", "message"),
    [
        (replace(SETTINGS, widths=(4, 4, 6)), SPEC, "needs four widths at least"),
        (replace(SETTINGS, widths=(4, 4, 6, 0)), SPEC, "needs four widths at least"),
        (SETTINGS, replace(SPEC, size=(32, 40)), r"rows and columns that 16 divides. Received: \(4, 4, 6, 8\), \(32, 40\)"),
        (replace(SETTINGS, heads=3), SPEC, "needs a width that its heads divide. Received: 8 and 3"),
    ],
)
def test_crops_that_it_cannot_see_are_refused(settings: VertebraMILSettings, spec: VertebraSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings.build(spec, seed=0)
