"""Lines along which vertebrae are threaded."""

import numpy as np
from numpy.typing import NDArray

from cspine.locating.centreline import find_centrelines

SPACING = (2.5, 2.5, 2.5)


def drawn(*columns: tuple[slice, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns vertebrae in columns, each over some heights and at some place from front to back; C1..C7 at both of their ends."""
    vertebra, levels = np.zeros((160, 60, 30), np.float32), np.zeros((160, 60, 30, 7), np.float32)
    for heights, y in columns:
        vertebra[heights, y - 5 : y + 5, 10:20] = 1
        for end in (slice(heights.start, heights.start + 10), slice(heights.stop - 10, heights.stop)):
            levels[end, y - 5 : y + 5, 10:20, 2] = 1
    return vertebra, levels


def test_a_long_spine_with_what_may_be_a_neck_at_either_end_is_one_line() -> None:
    (centreline,) = find_centrelines(*drawn((slice(5, 155), 30)), SPACING)

    assert np.ptp(centreline.points_mm[:, 0]) > 140 * SPACING[0]


def test_what_lies_far_apart_is_on_lines_of_its_own() -> None:
    centrelines = find_centrelines(*drawn((slice(5, 45), 10), (slice(115, 155), 50)), SPACING)

    assert sorted(round(float(centreline.points_mm[:, 1].mean()) / SPACING[1]) for centreline in centrelines) == [10, 50]


def test_a_line_may_begin_where_its_own_height_shows_nothing_of_it() -> None:
    vertebra, levels = drawn((slice(20, 60), 15))
    levels[:] = 0
    levels[36:45, 10:20, 10:20, 3] = 1
    vertebra[40], levels[40] = 0, 0
    vertebra[40, 42:58, 10:20], levels[40, 42:58, 10:20, 2] = 0.9, 0.9

    (centreline,) = find_centrelines(vertebra, levels, SPACING)

    assert np.ptp(centreline.points_mm[:, 0]) > 35 * SPACING[0]
