from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.locating.levels import locate_levels
from cspine.locating.located import Located
from cspine.locating.plausibility import check_plausibility
from cspine.results import LevelStatus
from cspine.volume import LabelMap, Volume
from tests.locating.necks import neck, predicted


@pytest.fixture(scope="module")
def seen() -> tuple[Located, Volume]:
    """Returns a neck that a network sees well, and a scan of it."""
    _, grid, classes = neck(1)
    found = locate_levels(predicted(classes, np.random.default_rng(0)), grid, np.ones(grid.shape, bool))
    return found, Volume(np.where(classes > 0, np.float32(400), np.float32(40)), grid)


def codes(located: Located, volume: Volume) -> list[str]:
    return [reason.code for reason in check_plausibility(located, volume)]


def without(located: Located, *levels: Level) -> Located:
    return replace(located, vertebrae=tuple(one for one in located.vertebrae if one.level not in levels))


def changed(located: Located, level: Level, **changes: object) -> Located:
    vertebrae = tuple(replace(one, **changes) if one.level is level else one for one in located.vertebrae)  # type: ignore[arg-type]
    return replace(located, vertebrae=vertebrae)


def test_a_neck_that_is_seen_well_may_stand_for_a_mask(seen: tuple[Located, Volume]) -> None:
    located, volume = seen

    assert [one.level for one in located.vertebrae] == list(CERVICAL)
    assert codes(located, volume) == []


def test_where_nothing_was_found_there_is_no_mask(seen: tuple[Located, Volume]) -> None:
    located, volume = seen

    assert codes(replace(located, vertebrae=()), volume) == ["no_cervical_spine"]


def test_a_name_that_is_not_sure_makes_no_mask(seen: tuple[Located, Volume]) -> None:
    located, volume = seen

    found = check_plausibility(changed(located, Level.C4, status=LevelStatus.UNCERTAIN), volume)

    assert [reason.code for reason in found] == ["level_unsure"]
    assert found[0].text == "What is named C4 may be another level."


def test_a_level_that_the_network_calls_otherwise_makes_no_mask() -> None:
    _, grid, classes = neck(1)
    odd = np.where(classes == Level.C4, Level.C5, classes)  # the order names C4 nevertheless
    located = locate_levels(predicted(odd, np.random.default_rng(0)), grid, np.ones(grid.shape, bool))
    scan = Volume(np.where(classes > 0, np.float32(400), np.float32(40)), grid)

    found = {reason.code: reason.text for reason in check_plausibility(located, scan)}

    assert found["level_renamed"] == "The network alone names much of C4 differently."
    assert all(one.agreement > 0.9 for one in located.vertebrae if one.level not in (Level.C4, Level.C5))


@pytest.mark.parametrize("level", [Level.C1, Level.C4, Level.C7])
def test_a_level_that_is_in_view_and_was_not_found_makes_no_mask(seen: tuple[Located, Volume], level: Level) -> None:
    located, volume = seen

    found = check_plausibility(without(located, level), volume)

    assert [reason.code for reason in found] == ["level_missing"]
    assert level.name in found[0].text


def test_levels_beyond_the_picture_are_not_missed(seen: tuple[Located, Volume]) -> None:
    located, volume = seen
    c6 = located.vertebra(Level.C6)
    assert c6 is not None
    first = round(float(volume.grid.index(np.array(c6.centre_mm))[0]))
    depth, rows, columns = volume.grid.shape
    part = Volume(volume.hu[first:].copy(), volume.grid.part((first, 0, 0), (depth - first, rows, columns)))

    assert codes(without(changed(located, Level.C6, status=LevelStatus.PARTLY_IN_VIEW), Level.C7), part) == []


def test_neighbours_too_near_or_too_far_make_no_mask_unless_the_picture_cuts_them(seen: tuple[Located, Volume]) -> None:
    located, volume = seen
    c4, c5 = located.vertebra(Level.C4), located.vertebra(Level.C5)
    assert c4 is not None
    assert c5 is not None
    x, y, z = c5.centre_mm

    near = changed(located, Level.C4, centre_mm=(x, y, z + 4))

    assert codes(near, volume) == ["levels_apart"]
    assert codes(changed(near, Level.C4, status=LevelStatus.PARTLY_IN_VIEW), volume) == []
    assert codes(changed(located, Level.C1, centre_mm=(x, y, z + 200)), volume) == ["levels_apart"]


def test_a_level_much_too_small_or_too_large_makes_no_mask(seen: tuple[Located, Volume]) -> None:
    located, volume = seen
    labels = located.labels.labels
    shrunk, grown = labels.copy(), labels.copy()
    at = np.argwhere(labels == Level.C3)
    shrunk[tuple(at[len(at) // 5 :].T)] = 0
    grown[np.isin(labels, (Level.C4, Level.C5))] = Level.C3

    smaller, larger = (replace(located, labels=LabelMap(one, located.labels.grid)) for one in (shrunk, grown))

    assert codes(smaller, volume) == ["implausible_volume"]
    assert codes(changed(smaller, Level.C3, status=LevelStatus.PARTLY_IN_VIEW), volume) == []
    assert codes(larger, volume) == ["implausible_volume"]


def test_what_lies_on_no_bone_is_no_mask(seen: tuple[Located, Volume]) -> None:
    located, volume = seen
    soft = Volume(np.full(volume.hu.shape, 40, np.float32), volume.grid)

    found = check_plausibility(located, soft)

    assert [reason.code for reason in found] == ["off_bone"]
    assert found[0].text == "At least 35% of what was found must be bone. It is 0%."
