"""In which slices and cells of a vertebra its fracture is."""

import numpy as np
import pytest

from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, UNKNOWN
from cspine.training.vertebrae.batches import fracture_targets


def marks(bit: int, rows: int = 3) -> np.ndarray:
    """Returns three slices of C3 with C4 beside it; the middle one is marked over both, in so many rows."""
    found = np.zeros((3, 8, 16), np.uint8)
    found[:, :, :8], found[:, :, 12:] = 3, 4
    found[1, 1 : 1 + rows, 2:14] |= bit
    return found


def test_fracture_masks_mark_slices_and_cells() -> None:
    found = fracture_targets(marks(FRACTURE_BIT), 3, FRACTURE_BIT, broken=True)

    np.testing.assert_array_equal(found.slices, [0, 1, 0])
    np.testing.assert_array_equal(found.cells[1], [[1, 1, 1, 1], [0, 0, 0, 0]])
    assert not found.cells[[0, 2]].any()
    assert found.cells.dtype == found.slices.dtype == np.float32


def test_boxes_mark_only_what_is_the_vertebra_in_them() -> None:
    found = fracture_targets(marks(BOX_BIT), 3, BOX_BIT, broken=True)

    np.testing.assert_array_equal(found.slices, [0, 1, 0])
    np.testing.assert_array_equal(found.cells[1], [[1, 1, 0, 0], [0, 0, 0, 0]])


def test_a_few_pixels_are_no_fracture() -> None:
    few = np.zeros((1, 8, 8), np.uint8)
    few[0, 0, :2] = FRACTURE_BIT
    one_more = few.copy()
    one_more[0, 7, 7] = FRACTURE_BIT

    assert fracture_targets(few, 1, FRACTURE_BIT, broken=True).slices == [0]
    assert fracture_targets(one_more, 1, FRACTURE_BIT, broken=True).slices == [1]
    np.testing.assert_array_equal(fracture_targets(one_more, 1, FRACTURE_BIT, broken=True).cells, [[[1, 0], [0, 0]]])


@pytest.mark.parametrize("bit", [None, BOX_BIT, FRACTURE_BIT])
def test_nothing_of_a_whole_vertebra_is_broken(bit: int | None) -> None:
    found = fracture_targets(marks(BOX_BIT | FRACTURE_BIT), 3, bit, broken=False)

    assert not found.slices.any()
    assert found.cells.shape == (3, 2, 4)
    assert not found.cells.any()


def test_where_nobody_knows_nothing_is_trained() -> None:
    found = fracture_targets(marks(0), 3, None, broken=True)

    assert np.all(found.slices == UNKNOWN)
    assert np.all(found.cells == UNKNOWN)
    assert found.cells.shape == (3, 2, 4)


def test_a_fracture_outside_of_what_is_cut_is_missed() -> None:
    assert fracture_targets(marks(0), 3, FRACTURE_BIT, broken=True).missed
    assert fracture_targets(marks(FRACTURE_BIT), 3, BOX_BIT, broken=True).missed
    assert not fracture_targets(marks(FRACTURE_BIT), 3, FRACTURE_BIT, broken=True).missed
    assert not fracture_targets(marks(0), 3, FRACTURE_BIT, broken=False).missed
    assert not fracture_targets(marks(0), 3, None, broken=True).missed
