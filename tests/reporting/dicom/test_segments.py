"""Vertebrae that stored pixels show become segments."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.reporting.dicom.segments import Segments, segments_of
from cspine.study import Study
from cspine.volume import LabelMap, Volume

_GRID = Grid.upright((0, 0, 0), (12, 32, 32), (2.0, 1.0, 1.0))


def _segments(labels: NDArray[np.uint8]) -> Segments:
    study = Study("neck", Volume(np.zeros(_GRID.shape, np.float32), _GRID), None, None, "axial")
    return segments_of(LabelMap(labels, _GRID), study)


def _painted(*levels: int) -> NDArray[np.uint8]:
    """Returns a slab for each level, one above the other, from the third image on."""
    labels = np.zeros(_GRID.shape, np.uint8)
    for place, level in enumerate(levels, 2):
        labels[place, 4:28, 4:28] = level
    return labels


@pytest.mark.parametrize(
    ("there", "levels"),
    [((1, 2, 3), (1, 2, 3)), ((2, 4, 7), (2, 4, 7)), ((5, 4, 1), (1, 4, 5)), ((6, 8, 20, 9), (6,)), ((8,), ())],
)
def test_segments_are_numbered_without_gaps_from_the_head(there: tuple[int, ...], levels: tuple[int, ...]) -> None:
    labels = _painted(*there)

    found = _segments(labels)

    assert found.levels == tuple(map(Level, levels))
    expected = np.zeros(_GRID.shape, np.uint8)
    for number, level in enumerate(levels, 1):
        assert found.number(Level(level)) == number
        expected[labels == level] = number
    whole = np.zeros(_GRID.shape, np.uint8)
    whole[found.places] = found.numbers
    np.testing.assert_array_equal(whole, expected)


def test_a_level_of_a_single_pixel_is_a_segment() -> None:
    labels = _painted(2, 3)
    labels[5, 11, 13] = 4

    found = _segments(labels)

    assert found.levels == (Level.C2, Level.C3, Level.C4)
    assert np.count_nonzero(found.numbers == 3) == 1
