import keras
import numpy as np
import pytest

from cspine.training.core.losses import KnownBinaryCrossentropy, KnownCellCrossentropy, KnownDiceCrossentropy


def test_known_targets_cost_what_binary_cross_entropy_says() -> None:
    rng = np.random.default_rng(0)
    target, predicted = rng.random((4, 7)).astype("float32"), rng.uniform(0.05, 0.95, (4, 7)).astype("float32")

    ours = float(KnownBinaryCrossentropy()(target, predicted))

    assert ours == pytest.approx(float(keras.losses.BinaryCrossentropy()(target, predicted)), rel=1e-4)


def test_an_unknown_target_costs_nothing_whatever_is_said() -> None:
    target = np.array([[1, -1, 0]], dtype="float32")

    costs = [
        float(KnownBinaryCrossentropy()(target, np.array([[0.7, predicted, 0.2]], dtype="float32"))) for predicted in (0.01, 0.99)
    ]

    assert costs[0] == costs[1] > 0


def test_a_positive_weighs_as_much_as_it_is_told_to() -> None:
    predicted = np.array([[0.3]], dtype="float32")

    assert float(KnownBinaryCrossentropy(3.0)(np.ones((1, 1)), predicted)) == pytest.approx(-3 * np.log(0.3), rel=1e-4)
    assert float(KnownBinaryCrossentropy(3.0)(np.zeros((1, 1)), predicted)) == pytest.approx(-np.log(0.7), rel=1e-4)


def test_an_unknown_map_costs_nothing_and_a_level_costs_more_than_background() -> None:
    predicted = np.full((1, 2, 2, 8), 1 / 8, dtype="float32")
    level, background = (np.broadcast_to(np.eye(8, dtype="float32")[i], (1, 2, 2, 8)) for i in (3, 0))

    assert float(KnownCellCrossentropy(4.0)(np.full_like(predicted, -1), predicted)) == 0
    assert float(KnownCellCrossentropy(4.0)(background, predicted)) == pytest.approx(np.log(8), rel=1e-4)
    assert float(KnownCellCrossentropy(4.0)(level, predicted)) == pytest.approx(4 * np.log(8), rel=1e-4)


def test_maps_cost_what_dice_and_cross_entropy_say() -> None:
    levels = np.zeros((1, 4, 4), dtype="float32")
    levels[0, :2] = 3
    predicted = np.full((1, 4, 4, 8), 0.1 / 7, dtype="float32")
    np.put_along_axis(predicted, levels.astype(int)[..., None], 0.9, axis=-1)

    dice = (2 * 8 * 0.9 + 2) / (8 + 8 * 0.9 + 8 * 0.1 / 7 + 2)

    assert float(KnownDiceCrossentropy(2.0)(levels, predicted)) == pytest.approx(-np.log(0.9) + 1 - dice, rel=1e-4)


def test_maps_that_are_not_known_cost_nothing_and_levels_that_are_not_there_have_no_dice() -> None:
    predicted = np.full((1, 4, 4, 8), 1 / 8, dtype="float32")

    assert float(KnownDiceCrossentropy()(np.full((1, 4, 4), -1.0, dtype="float32"), predicted)) == 0
    assert float(KnownDiceCrossentropy()(np.zeros((1, 4, 4), dtype="float32"), predicted)) == pytest.approx(np.log(8), rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [KnownBinaryCrossentropy(2.5, name="a"), KnownCellCrossentropy(7.5, name="b"), KnownDiceCrossentropy(7.5, name="c")],
)
def test_every_argument_of_a_loss_is_in_its_config(loss: keras.losses.Loss) -> None:
    assert type(loss).from_config(loss.get_config()).get_config() == loss.get_config()
    assert {2.5, 7.5} & set(loss.get_config().values())
