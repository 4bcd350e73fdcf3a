"""Bodies that are built in code: necks, and trunks around what is called a neck."""

import re
from collections.abc import Collection

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.locating.located import Located, Question, Vertebra
from cspine.locating.trunk import _slabs, _thinned, trunk
from cspine.locating.weighing import stored_probability, weigh
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap, Volume

HEIGHTS_MM = {level: 17.0 * (4 - level) for level in CERVICAL}


def scan(half_width_mm: float, *, half_field_mm: float = 240.0, lungs: bool = False, air_hu: float = -1000.0) -> Volume:
    """Returns a round body, with lungs or without, in a field of view that may cut it."""
    side = round(2 * half_field_mm / 4)
    grid = Grid.upright((0, 0, 0), (40, side, side), (4, 4, 4))
    _, y, x = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)[::-1]
    hu = np.where(np.hypot(x, y) < half_width_mm, np.float32(40), np.float32(air_hu))
    if lungs:
        hu[(np.hypot(np.abs(x) - 70, y + 20) < 48)] = -850
    return Volume(hu.astype(np.float32), grid)


def with_shoulders(volume: Volume, below_mm: float) -> Volume:
    """Returns the scan with a body as wide as shoulders below a height."""
    hu, height = volume.hu.copy(), volume.grid.index((0, 0, below_mm))[0]
    middle = hu.shape[1] // 2
    hu[: round(float(height)), middle - 10 : middle + 10] = 40
    return Volume(hu, volume.grid)


def cut(volume: Volume, before_mm: int, behind_mm: int) -> Volume:
    """Returns what a field of view shows that ends so far in front of the vertebrae and behind them."""
    middle, side = volume.hu.shape[1] // 2, volume.hu.shape[2]
    front, back = middle - before_mm // 4, middle + behind_mm // 4
    return Volume(volume.hu[:, front:back], volume.grid.part((0, front, 0), (40, back - front, side)))


def with_sandbags(volume: Volume) -> Volume:
    """Returns the scan with a bag of 64 x 80 mm on either side."""
    hu, middle = volume.hu.copy(), volume.hu.shape[1] // 2
    hu[:, middle - 8 : middle + 8, middle - 35 : middle + 35] = np.maximum(
        600, hu[:, middle - 8 : middle + 8, middle - 35 : middle + 35]
    )
    return Volume(hu, volume.grid)


def spine(levels: Collection[Level] = CERVICAL) -> Located:
    found = tuple(
        Vertebra(level, LevelStatus.ASSESSED, 0.98, (0.0, 0.0, HEIGHTS_MM[level]), Box((0, 0, 0), (1, 1, 1)), (0, 0, 1))
        for level in CERVICAL
        if level in levels
    )
    grid = Grid.upright((0, 0, 0), (2, 2, 2), (4, 4, 4))
    return Located(found, LabelMap(np.zeros(grid.shape, np.uint8), grid), np.empty((0, 3)))


def against(volume: Volume, located: Located | None = None) -> set[str]:
    """Returns which witnesses speak against a neck."""
    found = trunk(located or spine(), volume)
    assert {one.question for one in found} == {Question.REGION}
    assert all(one.log_ratio <= 0 for one in found)
    return {one.name for one in found if one.log_ratio < 0}


@pytest.mark.parametrize("half_width_mm", [35, 60, 90])
def test_a_neck_of_any_width_is_not_spoken_against(half_width_mm: float) -> None:
    assert against(scan(half_width_mm)) == set()


def test_a_body_as_wide_as_a_trunk_is_no_neck_and_the_reason_says_how_wide() -> None:
    volume = scan(160)

    assert against(volume) == {"girth"}
    witnesses = trunk(spine(), volume)
    assert stored_probability(witnesses) < 0.1
    weighed = weigh(spine(), witnesses)
    assert {one.status for one in weighed.vertebrae} == {LevelStatus.UNCERTAIN}
    reason = next(one for one in weighed.reasons if one.code == "region_doubtful")
    stated = re.search(r"the body is at least (\d+) mm wide", reason.text)
    assert stated is not None
    assert abs(int(stated[1]) - 320) <= 8
    assert "lung" not in reason.text


def test_a_trunk_that_the_field_of_view_cuts_is_as_wide_as_what_is_seen() -> None:
    assert against(scan(160, half_field_mm=120)) == {"girth"}
    assert against(scan(160, half_field_mm=80)) == set()


@pytest.mark.parametrize(("before_mm", "behind_mm"), [(52, 52), (40, 240), (240, 40)])
def test_a_trunk_cut_off_in_front_or_behind_is_known_by_its_width(before_mm: int, behind_mm: int) -> None:
    assert against(cut(scan(115), before_mm, behind_mm)) == {"girth"}
    assert against(cut(scan(60), before_mm, behind_mm)) == set()


def test_shoulders_beside_the_lowest_of_the_three_are_no_trunk() -> None:
    wide = with_shoulders(scan(60), HEIGHTS_MM[Level.C4] + 8)

    assert against(wide) == set()
    assert against(with_shoulders(scan(60), HEIGHTS_MM[Level.C2] + 8)) == {"girth"}


def test_sandbags_on_both_sides_of_a_neck_are_no_trunk() -> None:
    assert against(with_sandbags(scan(60))) == set()


def test_one_level_is_too_few_to_say_how_wide_a_body_is() -> None:
    assert against(scan(160), spine({Level.C4, Level.C5, Level.C6})) == set()
    assert against(scan(160), spine({Level.C3, Level.C4, Level.C5})) == {"girth"}


def test_lungs_beside_what_is_called_a_neck_say_that_it_is_a_chest() -> None:
    assert against(scan(160, lungs=True)) == {"girth", "lungs_beside"}
    assert "lungs_beside" in against(scan(160, half_field_mm=100, lungs=True))


def test_lungs_are_known_where_the_field_of_view_shows_little_of_one() -> None:
    whole = scan(160, lungs=True)
    left = whole.hu.shape[2] // 2 - 10  # 40 mm beside the vertebra, of which 12 mm are lung

    narrow = Volume(whole.hu[..., left:], whole.grid.part((0, 0, left), (*whole.hu.shape[:2], whole.hu.shape[2] - left)))
    assert "lungs_beside" in against(narrow)
    left += 4
    blind = Volume(whole.hu[..., left:], whole.grid.part((0, 0, left), (*whole.hu.shape[:2], whole.hu.shape[2] - left)))
    assert "lungs_beside" not in against(blind)


@pytest.mark.parametrize("air_hu", [-1024, -1000, -970])
def test_air_around_a_childs_neck_is_no_lung(air_hu: float) -> None:
    assert against(scan(30, air_hu=air_hu)) == set()


def test_vertebrae_outside_the_scan_say_nothing() -> None:
    far = Volume(scan(160).hu, Grid.upright((0, 900, 0), scan(160).grid.shape, (4, 4, 4)))

    assert against(far) == set()


def test_the_pixels_of_a_fine_scan_are_those_of_a_coarser_one() -> None:
    coarse = scan(90, lungs=True)
    fine = Volume(coarse.hu.repeat(10, axis=1).repeat(10, axis=2), _divided(coarse.grid, 10))

    pairs = list(zip(_slabs(spine(), coarse), _slabs(spine(), fine), strict=True))

    assert _thinned(fine).hu.size < fine.hu.size / 3
    assert len(pairs) == 3
    for one, other in pairs:
        assert one.extent is not None
        assert other.extent is not None
        assert abs(one.extent.width_mm - other.extent.width_mm) <= 4
        assert one.lung_share == pytest.approx(other.lung_share, abs=0.05)


def _divided(grid: Grid, times: int) -> Grid:
    """Returns the grid with pixels that are so many times finer, over the same place."""
    affine = grid.affine.copy()
    affine[:3, 1:3] /= times
    affine[:3, 3] = grid.world((0, -0.5 + 0.5 / times, -0.5 + 0.5 / times))
    return Grid((grid.shape[0], grid.shape[1] * times, grid.shape[2] * times), affine)
