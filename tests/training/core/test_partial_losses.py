import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.training.core.losses import KnownDiceCrossentropy, PartialDiceCrossentropy
from cspine.training.localiser.pool import UNKNOWN_CLASS, UNNAMED, UNNAMED_CLASS, targets_of

SHAPE = (2, 3, 4, 5)


def drawn() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Classes of two windows, and probabilities."""
    rng = np.random.default_rng(0)
    predicted = rng.random((*SHAPE, 10), dtype=np.float32)
    return rng.integers(0, 10, SHAPE).astype(np.uint8), predicted / predicted.sum(axis=-1, keepdims=True)


def cost(classes: NDArray[np.uint8], predicted: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(PartialDiceCrossentropy(UNNAMED, 3.0).call(targets_of(classes), predicted)))


def test_where_every_voxel_is_known_it_is_the_loss_of_maps() -> None:
    classes, predicted = drawn()

    known = keras.ops.convert_to_numpy(KnownDiceCrossentropy(3.0).call(classes.astype(np.float32), predicted))

    np.testing.assert_allclose(cost(classes, predicted), known, rtol=1e-5)


def test_an_unknown_voxel_costs_nothing_whatever_is_said_of_it() -> None:
    classes, predicted = drawn()
    classes[:, 1] = UNKNOWN_CLASS
    other = predicted.copy()
    other[:, 1] = np.eye(10)[3]

    np.testing.assert_array_equal(cost(classes, predicted), cost(classes, other))


def test_a_voxel_that_is_no_cervical_vertebra_may_be_anything_else_at_no_cost() -> None:
    classes, predicted = drawn()
    classes[:, 1] = UNNAMED_CLASS
    moved, wrong = predicted.copy(), predicted.copy()
    moved[:, 1] = predicted[:, 1][..., [8, 1, 2, 3, 4, 5, 6, 7, 9, 0]]  # background, other vertebra, other bone change places
    wrong[:, 1] = np.eye(10)[3]

    np.testing.assert_allclose(cost(classes, moved), cost(classes, predicted), rtol=1e-5)
    assert (cost(classes, wrong) > cost(classes, predicted) + 1).all()


def test_what_may_be_one_of_three_costs_what_they_lack_together() -> None:
    classes = np.full((1, 1, 1, 2), UNNAMED_CLASS, np.uint8)
    predicted = np.zeros((1, 1, 1, 2, 10), np.float32)
    predicted[..., [0, 8, 9, 4]] = 0.1, 0.2, 0.3, 0.4

    np.testing.assert_allclose(cost(classes, predicted), -np.log(0.6), rtol=1e-5)


def test_a_level_said_where_there_is_none_lowers_its_dice() -> None:
    classes, predicted = np.zeros((1, 1, 1, 4), np.uint8), np.zeros((1, 1, 1, 4, 10), np.float32)
    classes[0, 0, 0] = 3, 3, UNNAMED_CLASS, UNKNOWN_CLASS
    predicted[0, 0, 0, :, 3] = 1
    dice = (2 * 2 + 3) / (2 + 3 + 3)  # the unknown voxel takes no part

    entropy = -np.log(1e-6) / 4

    np.testing.assert_allclose(cost(classes, predicted), entropy + 1 - dice, rtol=1e-5)


def test_every_argument_of_it_is_in_its_config() -> None:
    loss = PartialDiceCrossentropy((0, 3), 7.5, name="a")

    assert (loss.get_config()["possible"], loss.get_config()["smooth"]) == ((0, 3), 7.5)
    assert PartialDiceCrossentropy.from_config(loss.get_config()).get_config() == loss.get_config()


@pytest.mark.parametrize(("value", "target"), [(0, 0), (9, 9), (UNNAMED_CLASS, -2), (UNKNOWN_CLASS, -1)])
def test_classes_become_targets(value: int, target: float) -> None:
    assert targets_of(np.array([value], np.uint8)).tolist() == [target]
