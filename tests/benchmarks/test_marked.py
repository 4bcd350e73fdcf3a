"""A localiser on scans whose levels were marked: what counts as right, and as wrong and sure."""

import numpy as np
import pytest

from benchmarks.localiser.marked import Named, compare, shares, table
from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.locating import Located, Vertebra
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap

MARKS = {"C1": [0.0, 10.0, 40.0], "C2": [0.0, 0.0, 20.0], "C3": [0.0, 0.0, 0.0], "C4": [0.0, 0.0, -20.0]}


def located(shift_mm: float, status: LevelStatus = LevelStatus.ASSESSED) -> Located:
    """Returns vertebrae so far nearer the feet than the marks, and 9 mm behind them."""
    grid = Grid.upright((0.0, 0.0, 0.0), (2, 2, 2), (1.0, 1.0, 1.0))
    vertebrae = tuple(
        Vertebra(Level[name], status, 0.95, (x, y + 9.0, z - shift_mm), Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), (0.0, 0.0, 1.0))
        for name, (x, y, z) in MARKS.items()
    )
    return Located(vertebrae, LabelMap(np.zeros(grid.shape, np.uint8), grid), np.zeros((2, 3)))


@pytest.mark.parametrize(("shift_mm", "right"), [(0.0, True), (6.0, True), (-6.0, True), (9.0, False), (-18.0, False)])
def test_a_name_is_right_where_its_vertebra_is_less_than_half_a_level_from_the_mark(shift_mm: float, right: bool) -> None:
    found = compare(located(shift_mm), MARKS)

    assert [one.level for one in found] == ["C1", "C2", "C3", "C4"]
    assert all(one.right is right and one.sure for one in found)
    assert [one.error_mm for one in found] == [shift_mm] * 4


def test_an_uncertain_name_is_never_sure_and_a_level_that_was_not_found_is_not_right() -> None:
    unsure = compare(located(0.0, LevelStatus.UNCERTAIN), MARKS)
    missing = compare(located(0.0), {**MARKS, "C7": [0.0, 0.0, -80.0]})[-1]

    assert not any(one.sure for one in unsure)
    assert missing == Named("C7", None, 0.0)
    assert not missing.right


def test_shares_count_levels_and_their_intervals_scans() -> None:
    right, wrong = compare(located(0.0), MARKS), compare(located(18.0), MARKS)

    rows = table(shares([right, right, wrong, right])).splitlines()

    assert rows[2].startswith("| levels named right | 0.750 (")
    assert rows[4].startswith("| wrong and sure | 0.250 (0.000 to ")
    assert rows[5].startswith("| right, of the sure | 0.750 (")
