"""Levels that may be fractured are chosen, and scans without one are refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cspine.anatomy import Level
from cspine.errors import StudyError
from cspine.geometry import Grid
from cspine.locating import Located
from cspine.locating.crop_geometry import located_by
from cspine.phantoms.graft.choosing import check_scan, choose_levels
from cspine.results import LevelStatus, Reason
from cspine.volume import LabelMap, Volume
from tests.phantoms.graft.stand_in import stand_in


def located() -> Located:
    return located_by(stand_in()[1])


def with_level(found: Located, level: Level, **changes: Any) -> Located:
    return replace(found, vertebrae=tuple(replace(v, **changes) if v.level is level else v for v in found.vertebrae))


def test_levels_that_are_wholly_seen_and_surely_named_may_be_broken() -> None:
    volume, mask = stand_in()
    choice = choose_levels(located(), mask, volume)

    assert {Level.C2, Level.C3, Level.C4, Level.C5} <= set(choice.sure)
    assert all("cut by the edge" in doubt for doubt in choice.doubts.values())
    assert set(choice.doubts) & set(choice.sure) == set()


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"status": LevelStatus.UNCERTAIN}, "not wholly seen or not surely named"),
        ({"status": LevelStatus.PARTLY_IN_VIEW}, "not wholly seen or not surely named"),
        ({"confidence": 0.85}, "confidence of 0.85 only"),
        ({"agreement": 0.4}, "confidence of 0.40 only"),
    ],
)
def test_a_doubtful_level_is_not_broken(changes: dict[str, Any], doubt: str) -> None:
    volume, mask = stand_in()
    choice = choose_levels(with_level(located(), Level.C4, **changes), mask, volume)

    assert Level.C4 not in choice.sure
    assert doubt in choice.doubts[Level.C4]
    assert Level.C3 in choice.sure


def test_a_level_of_an_odd_size_is_not_broken() -> None:
    volume, mask = stand_in()
    labels = mask.labels.copy()
    own = np.argwhere(labels == Level.C4)
    labels[tuple(own[own[:, 1] > np.median(own[:, 1]) - 12].T)] = 0
    choice = choose_levels(located(), LabelMap(labels, mask.grid), volume)

    assert "times the size" in choice.doubts[Level.C4]


def test_a_level_that_is_outlined_off_its_bone_is_not_broken() -> None:
    volume, mask = stand_in()
    hu = np.where(mask.labels == Level.C4, 40, volume.hu).astype(np.float32)

    assert "little bone" in choose_levels(located(), mask, Volume(hu, volume.grid)).doubts[Level.C4]


def test_names_in_doubt_as_a_whole_refuse_the_scan() -> None:
    volume, mask = stand_in()
    doubtful = replace(located(), reasons=(Reason("count_doubtful", "Names from C3 on may be off."),))

    with pytest.raises(StudyError, match=r"must be sure before one is broken. Names from C3 on may be off"):
        choose_levels(doubtful, mask, volume)


def test_levels_out_of_order_or_left_out_refuse_the_scan() -> None:
    volume, mask = stand_in()
    found = located()
    gap = replace(found, vertebrae=tuple(v for v in found.vertebrae if v.level is not Level.C3))
    swapped = with_level(found, Level.C3, centre_mm=found.vertebrae[-1].centre_mm)

    for wrong in (gap, swapped):
        with pytest.raises(StudyError, match="must follow one another from head to feet"):
            choose_levels(wrong, mask, volume)


def test_a_scan_without_a_sure_level_is_refused_with_reasons() -> None:
    volume, mask = stand_in()
    found = located()
    unsure = replace(found, vertebrae=tuple(replace(v, confidence=0.5) for v in found.vertebrae))

    with pytest.raises(StudyError, match=r"one level at least that is surely named.*C4 is named with a confidence of 0.50 only"):
        choose_levels(unsure, mask, volume)
    with pytest.raises(StudyError, match="needs cervical vertebrae"):
        choose_levels(replace(found, vertebrae=()), mask, volume)


@pytest.mark.parametrize("spacing", [(3.5, 0.5, 0.5), (1.0, 2.0, 2.0), (2.0, 0.5, 2.0)])
def test_a_coarse_scan_is_refused(spacing: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(0)
    grid = Grid.upright((0, 0, 0), (20, 20, 20), spacing)

    with pytest.raises(StudyError, match=r"needs slices of 3 mm and pixels of 1.5 mm at most"):
        check_scan(Volume(rng.normal(0, 300, grid.shape).astype(np.float32), grid))


def test_what_is_no_ct_and_what_is_sheared_is_refused() -> None:
    volume, _ = stand_in()
    with pytest.raises(StudyError, match="needs Hounsfield units"):
        check_scan(Volume(np.zeros_like(volume.hu), volume.grid))
    affine = volume.grid.affine.copy()
    affine[:3, 2] += 0.2 * affine[:3, 1]
    with pytest.raises(StudyError, match="rows and columns at right angles"):
        check_scan(Volume(volume.hu, Grid(volume.grid.shape, affine)))
