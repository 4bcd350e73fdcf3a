"""Witnesses are tried on bodies that are built in code."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.locating.located import Located, Question, Vertebra
from cspine.locating.witnesses import CoarseScan, airway, anatomy, brain, log_ratio, lungs, ribs, slice_order, upright
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap, Volume

GRID = Grid.upright((0, 0, 0), (120, 64, 80), (2.5, 2.5, 2.5))
ABOVE, BELOW = 45.0, -75.0
"""Heights from which on there is a skull, and up to which there is a chest, mm."""


def body(*, seen_from: float = 0.0) -> Volume:
    """Returns a cylinder of soft tissue with a throat, a skull with its brain above, and lungs below; air around."""
    z, y, x = np.moveaxis(GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)[::-1]
    hu = np.where(np.hypot(x, y) < 70, np.float32(50), np.float32(-1000))
    hu[(np.hypot(x, y + 35) < 8) & (z < ABOVE)] = -1000
    head = np.hypot(x, y)
    hu[(z > ABOVE) & (head > 55) & (head < 65)] = 1200
    hu[(z < BELOW) & (np.hypot(np.abs(x) - 45, y) < 18)] = -850
    return Volume((hu + seen_from).astype(np.float32), GRID)


def neck() -> Located:
    """Returns seven vertebrae on a straight line, C1 above."""
    found = tuple(
        Vertebra(level, LevelStatus.ASSESSED, 0.98, (0.0, 0.0, 17.0 * (3 - level)), Box((0, 0, 0), (1, 1, 1)), (0, 0, 1))
        for level in CERVICAL
    )
    return Located(found, LabelMap(np.zeros(GRID.shape, np.uint8), GRID), np.empty((0, 3)))


def view_of(volume: Volume) -> CoarseScan:
    return CoarseScan.of(volume, np.ones(volume.grid.shape, bool))


def flipped(volume: Volume, axis: int) -> Volume:
    return Volume(np.ascontiguousarray(np.flip(volume.hu, axis)), volume.grid)


def test_a_body_as_it_is_stored_speaks_for_its_names() -> None:
    witnesses = {one.name: one.log_ratio for one in anatomy(neck(), view_of(body()))}

    assert witnesses["airway"] >= 3
    assert witnesses["brain"] >= 3
    assert witnesses["lungs"] >= 2


def test_a_throat_behind_the_spine_says_that_front_and_back_are_exchanged() -> None:
    found = airway(neck(), view_of(flipped(body(), 1)))

    assert found.question is Question.FRONT
    assert found.log_ratio <= -5
    assert found.text == "There is air of the throat in front of 0 and behind 7 of the vertebrae."


def test_a_brain_or_lungs_at_the_wrong_end_say_that_head_and_feet_are_exchanged() -> None:
    upside_down = view_of(flipped(body(), 0))
    below = replace(neck(), vertebrae=tuple(replace(one, centre_mm=(0.0, 0.0, 17.0 * (4 - one.level))) for one in neck().vertebrae))

    assert brain(below, upside_down).log_ratio <= -5
    assert lungs(below, upside_down).log_ratio <= -3


def with_ribs(*heights: float, sides: tuple[int, ...] = (-1, 1)) -> Volume:
    """Returns the body with a rib at these heights, mm, which runs back and to the side of the spine."""
    volume = body()
    z, y, x = np.moveaxis(GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)[::-1]
    for height in heights:
        for side in sides:
            away = side * x
            volume.hu[(np.hypot(z - height, y - 20) < 5) & (away > 25) & (away < 60)] = 400
    return volume


def test_ribs_beside_the_spine_say_that_it_is_that_of_a_chest() -> None:
    heights = [17.0 * (3 - level) for level in range(1, 8)]

    assert ribs(neck(), view_of(body())).log_ratio == 0, "a limb has none either"
    assert ribs(neck(), view_of(with_ribs(*heights))).log_ratio == -6
    assert ribs(neck(), view_of(with_ribs(*heights[5:]))).log_ratio == 0, "the first rib, below C7"
    assert ribs(neck(), view_of(with_ribs(heights[3], sides=(1,)))).log_ratio == 0, "one bone"
    assert ribs(neck(), view_of(with_ribs(*heights, sides=(1,)))).log_ratio == 0, "an arm"


def test_where_the_scan_is_too_narrow_for_ribs_there_is_no_witness() -> None:
    seen = np.zeros(GRID.shape, bool)
    seen[:, :, 24:56] = True

    assert ribs(neck(), CoarseScan.of(body(), seen)).log_ratio == 0


@pytest.mark.parametrize(
    ("front", "rear", "sign"), [(5, 0, 1), (1, 0, 1), (5, 2, 1), (1, 1, 0), (2, 1, 0), (2, 2, -1), (0, 1, -1), (0, 3, -1)]
)
def test_a_pocket_of_air_behind_one_vertebra_says_nothing(
    monkeypatch: pytest.MonkeyPatch, front: int, rear: int, sign: int
) -> None:
    there = {-1: iter([True] * front + [False] * 7), 1: iter([True] * rear + [False] * 7)}
    monkeypatch.setattr("cspine.locating.witnesses._has_airway", lambda _slab, _y, _x, _grid, side: next(there[side]))

    assert np.sign(airway(neck(), view_of(body())).log_ratio) == sign


def test_air_around_the_body_is_no_airway_even_where_the_scan_is_narrower_than_the_view() -> None:
    volume = body()
    hu = np.where(volume.hu < -900, np.float32(50), volume.hu)
    hu[:, :, :8] = -1000  # beside the body
    seen = np.zeros(GRID.shape, bool)
    seen[:, 4:-4, 4:-4] = True

    assert airway(neck(), CoarseScan.of(Volume(hu, GRID), seen)).log_ratio == 0


def test_what_is_not_in_view_says_nothing() -> None:
    soft = Volume(np.full(GRID.shape, 50, np.float32), GRID)

    assert [one.log_ratio for one in anatomy(neck(), view_of(soft))] == [0, 0, 0, 0]


def test_a_network_that_is_surer_upside_down_says_that_the_neck_stands_so() -> None:
    sure, unsure = (np.full((4, 4, 4, 10), rest, np.float32) for rest in (0.01, 0.05))
    sure[..., 3], unsure[..., 3] = 0.91, 0.55

    assert upright(sure, unsure).log_ratio == 6
    assert upright(unsure, sure).log_ratio == -6
    assert upright(sure, sure).log_ratio == 0


def stack(count: int = 40) -> Volume:
    """Returns slices that change from one to the next, with noise."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:count, :48, :48]
    hu = 400 * np.sin(z / 4 + x / 9) + 200 * np.cos(y / 7) + rng.normal(0, 20, z.shape)
    return Volume(hu.astype(np.float32), Grid.upright((0, 0, 0), (count, 48, 48), (2, 2, 2)))


def test_slices_of_one_stack_are_in_order() -> None:
    assert slice_order(stack()).log_ratio == 0


@pytest.mark.parametrize("kind", ["interleaved", "mirrored", "twice"])
def test_slices_of_two_stacks_or_twice_the_same_are_not(kind: str) -> None:
    hu = stack().hu.copy()
    if kind == "interleaved":
        hu[1::2] = np.roll(hu, 5, axis=0)[1::2]
    elif kind == "mirrored":
        hu = np.concatenate([hu[:20], hu[:20][::-1]])
    else:
        hu = np.concatenate([hu[:20], hu[:20]])

    assert slice_order(Volume(hu, stack().grid)).log_ratio <= -5


def test_a_sagittal_stack_may_be_its_own_mirror_image() -> None:
    half = stack().hu[:20]
    affine = stack().grid.affine[:, [2, 1, 0, 3]]

    found = slice_order(Volume(np.concatenate([half, half[::-1]]), Grid(stack().grid.shape, affine)))

    assert found.log_ratio == 0


def test_empty_slices_are_no_repeated_ones() -> None:
    hu = stack().hu.copy()
    hu[:15] = -1000

    assert slice_order(Volume(hu, stack().grid)).log_ratio == 0


def test_the_usual_size_speaks_for_a_name_and_a_far_one_against_it() -> None:
    assert log_ratio(17.0, 17.0, 0.13) > 1
    assert log_ratio(17.0 * 1.5, 17.0, 0.13) < -2
    assert log_ratio(17.0 / 1.5, 17.0, 0.13) == pytest.approx(log_ratio(17.0 * 1.5, 17.0, 0.13))
    assert log_ratio(0.0, 17.0, 0.13) == -6


def test_slices_of_whole_numbers_are_compared_like_those_of_the_same_in_float32() -> None:
    noise = np.random.default_rng(0).normal(0, 30, GRID.shape)
    volume = Volume(np.rint(body().hu + noise).astype(np.int16), GRID)

    assert slice_order(volume) == slice_order(volume.in_float32())
