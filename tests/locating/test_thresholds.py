"""Thresholds of the localiser are tried from both sides, as near as matters."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.locating.levels import _join_fragments, is_anchored
from cspine.locating.located import Located, Vertebra
from cspine.locating.plausibility import check_plausibility
from cspine.locating.refining import _drop_small_components
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap, Volume

GRID = Grid.upright((0, 0, 0), (60, 40, 40), (2.5, 2.5, 2.5))


def vertebra(level: Level, *, agreement: float = 1.0, confidence: float = 0.98) -> Vertebra:
    centre = (0.0, 0.0, 17.0 * (4 - level))
    return Vertebra(level, LevelStatus.ASSESSED, confidence, centre, Box((0, 0, 0), (1, 1, 1)), (0, 0, 1), agreement)


def neck(levels: tuple[Level, ...] = CERVICAL, *, agreement: float = 1.0) -> tuple[Vertebra, ...]:
    return tuple(vertebra(level, agreement=agreement) for level in levels)


def chest(share: float) -> NDArray[np.uint8]:
    """Returns 100 voxels of C7, and of a vertebra below some share of that."""
    labels = np.zeros(400, np.uint8)
    labels[:100] = Level.C7
    labels[200 : 200 + round(100 * share)] = Level.T1
    return labels


@pytest.mark.parametrize(("agreement", "anchored"), [(0.88, True), (0.84, False)])
def test_a_network_that_calls_a_seventh_of_a_neck_otherwise_anchors_nothing(agreement: float, anchored: bool) -> None:
    """Necks have 0.90 and more, loins and pelves 0.84 at most."""
    assert is_anchored(neck(agreement=agreement), chest(1), 5.0) is anchored


def test_half_of_the_levels_with_another_name_anchor_nothing_however_well_the_others_agree() -> None:
    mixed = tuple(replace(one, agreement=1.0 if one.level < Level.C4 else 0.84) for one in neck())

    assert np.mean([one.agreement for one in mixed]) > 0.88
    assert not is_anchored(mixed, chest(1), 5.0)


@pytest.mark.parametrize(("share", "anchored"), [(0.6, True), (0.42, False)])
def test_half_a_vertebra_below_the_neck_is_a_chest(share: float, anchored: bool) -> None:
    assert is_anchored(neck(CERVICAL[2:]), chest(share), 0.0) is anchored


@pytest.mark.parametrize(("first", "anchored"), [(2, True), (3, False)])
def test_five_levels_down_to_a_chest_anchor_a_count_and_four_do_not(first: int, anchored: bool) -> None:
    assert is_anchored(neck(CERVICAL[first:]), chest(1), 0.0) is anchored


@pytest.mark.parametrize("missing", ["chest", "C7"])
def test_neither_a_neck_without_a_chest_nor_a_chest_without_c7_anchors_a_count(missing: str) -> None:
    levels = CERVICAL[1:6] if missing == "C7" else CERVICAL[2:]
    found = tuple(replace(one, status=LevelStatus.PARTLY_IN_VIEW) if one.level is Level.C2 else one for one in neck(levels))

    assert not is_anchored(found, chest(0 if missing == "chest" else 1), 0.0)


@pytest.mark.parametrize(("atlas_ml", "anchored"), [(0.7, True), (0.5, False)])
def test_a_cut_axis_anchors_a_count_where_there_is_something_of_the_atlas(atlas_ml: float, anchored: bool) -> None:
    cut = tuple(replace(one, status=LevelStatus.PARTLY_IN_VIEW) for one in neck((Level.C2, Level.C3, Level.C4)))

    assert is_anchored(cut, chest(0), atlas_ml) is anchored


@pytest.mark.parametrize(("agreement", "codes"), [(0.64, []), (0.56, ["level_renamed"])])
def test_a_level_that_the_network_mostly_calls_otherwise_makes_no_pseudo_label(agreement: float, codes: list[str]) -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    for one in neck():
        k, j, i = np.rint(GRID.index(one.centre_mm)).astype(int)
        labels[k - 3 : k + 3, j - 5 : j + 5, i - 6 : i + 6] = one.level
    vertebrae = tuple(replace(one, agreement=agreement) if one.level is Level.C4 else one for one in neck())
    located = Located(vertebrae, LabelMap(labels, GRID), np.empty((0, 3)))

    found = check_plausibility(located, Volume(np.where(labels > 0, np.float32(400), np.float32(40)), GRID))

    assert [reason.code for reason in found] == codes


@pytest.mark.parametrize(("voxels", "name"), [(100, Level.C4), (140, Level.C5)])
def test_a_small_component_takes_the_name_of_what_it_touches_and_a_larger_one_keeps_its_own(voxels: int, name: Level) -> None:
    labels = np.zeros((40, 30, 30), np.uint8)
    labels[20:30, 5:15, 5:15] = Level.C4
    labels[5:15, 5:15, 5:15] = Level.C5
    piece = np.zeros(labels.shape, bool)
    piece[20:30, 15 : 15 + voxels // 20, 5:7] = True  # behind C4, called C5
    labels[piece] = Level.C5

    _join_fragments(labels, (2.0, 2.0, 2.0))

    assert np.unique(labels[piece]).tolist() == [name]


@pytest.mark.parametrize(("voxels", "kept"), [(30, False), (50, True)])
def test_a_small_component_apart_is_dropped_once_it_is_refined_and_a_larger_one_stays(voxels: int, kept: bool) -> None:
    labels = np.zeros((40, 30, 30), np.uint8)
    labels[5:15, 5:15, 5:15] = Level.C5
    labels[5:15, 20:25, 5 : 5 + voxels // 50] = Level.C5
    if voxels < 50:
        labels[5:15, 20:23, 5] = Level.C5

    _drop_small_components(labels, neck((Level.C5,)))

    assert bool(labels[:, 20:].any()) is kept
    assert np.count_nonzero(labels[:, :20]) == 1000
