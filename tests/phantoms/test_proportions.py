"""Proportions of bones: each moves what it names, and no surface meets itself."""

from dataclasses import fields
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.phantoms import HELD_OUT, WIDE, Neck, Variation, render, sample_neck
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.injuries import find_sites
from cspine.phantoms.model.neck import PlacedBone
from cspine.phantoms.model.proportions import Deformation, Hinges, Proportions
from cspine.phantoms.model.variation import ProportionRanges
from tests.phantoms.necks import with_proportions

Range = tuple[int, int]
ALL_Y, ALL_X, MIDDLE, NEAR_MIDDLE = (0, 161), (0, 121), (58, 63), (48, 73)


def own_labels(neck: Neck, name: str, y: Range = ALL_Y, x: Range = ALL_X) -> NDArray[np.bool_]:
    """Returns where a vertebra is in its own frame, ``(z, y, x)``: voxels of 0.5 mm around its origin.

    Outside of the ranges of ``y`` and ``x`` nothing is rendered, and nothing is told.
    """
    pose = neck.bone(name).pose
    affine = np.eye(4)
    affine[:3, :3] = 0.5 * pose.turn[:, ::-1]
    affine[:3, 3] = neck.scale * pose.centre - affine[:3, :3] @ np.array([60, 60, 60])
    part = Grid((121, 161, 121), affine).part((0, y[0], x[0]), (121, y[1] - y[0], x[1] - x[0]))
    labels = np.zeros((121, 161, 121), np.bool_)
    labels[:, y[0] : y[1], x[0] : x[1]] = render(neck, part).labels.labels == Level[name]
    return labels


def middle(neck: Neck, name: str) -> NDArray[np.bool_]:
    return np.asarray(own_labels(neck, name, x=MIDDLE).any(axis=2))


def disc_gap(neck: Neck) -> float:
    """Returns the height without bone between the bodies of C4 and C5, mm."""
    a, b = (np.array(neck.centres_mm[name]) for name in ("C4", "C5"))
    affine = np.eye(4)
    affine[:3, 2] = (b - a) / 100
    affine[:3, 3] = a
    labels = render(neck, Grid((1, 1, 101), affine)).labels.labels.ravel()
    return float(np.count_nonzero(labels == 0) * np.linalg.norm(b - a) / 100)


def canal_depth(neck: Neck) -> float:
    """Returns how deep the canal of C5 is in its middle, mm."""
    row = middle(neck, "C5")[50:66].any(axis=0)
    bony = np.flatnonzero(row)
    return float(np.diff(bony).max()) / 2


def lamina_height(neck: Neck) -> float:
    section = middle(neck, "C5")
    first = np.flatnonzero(section[:, 90:].any(axis=0))[0] + 90
    return float(np.count_nonzero(section[:, first + 2 : first + 5].any(axis=1))) / 2


def spinous_height(neck: Neck) -> float:
    back = np.argwhere(own_labels(neck, "C7", x=NEAR_MIDDLE).any(axis=2))
    tip = back[back[:, 1] > back[:, 1].max() - 20]
    return float(np.mean([np.ptp(tip[tip[:, 1] == y][:, 0]) for y in np.unique(tip[:, 1])[:10]])) / 2


def spinous_tip(neck: Neck) -> NDArray[np.float64]:
    """Returns the hindmost bone of C7, y and z in its own frame, mm."""
    z, y, _ = np.nonzero(own_labels(neck, "C7", y=(70, 161), x=(30, 91)))
    return np.array([y.max() - 60.0, z[y >= y.max() - 3].mean() - 60]) / 2


def lamina_slope(neck: Neck) -> float:
    """Returns how far the lamina of C5 sinks from the canal to its back, mm."""
    z, y = np.nonzero(middle(neck, "C5")[:, 88:])
    front = z[y <= np.quantile(y, 0.3)].mean()
    return float(front - z[y >= np.quantile(y, 0.5)].mean()) / 2


def pillars(neck: Neck) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns the voxels of the right and of the left pillar of C5, ``(n, 3)`` each."""
    places = np.argwhere(own_labels(neck, "C5", y=(75, 161)))
    return places[places[:, 2] < 60 - 26], places[places[:, 2] >= 60 + 26]


def facet_slope(neck: Neck) -> float:
    """Returns how far the top of the pillars of C5 falls for each millimetre backwards."""
    points = np.concatenate(pillars(neck))
    rows = np.unique(points[:, 1])[4:-4]
    tops = [points[points[:, 1] == y][:, 0].max() for y in rows]
    return -float(np.polyfit(rows, tops, 1)[0])


def arch_width(neck: Neck) -> float:
    return float(np.ptp(np.concatenate(pillars(neck))[:, 2])) / 2


def arch_tilt(neck: Neck) -> float:
    right, left = pillars(neck)
    return float(left[:, 0].mean() - right[:, 0].mean()) / 2


MEASURES = {
    "disc_height": ((0.5, 1.0, 1.45), disc_gap, 1.5),
    "pedicle_mm": ((-1.5, 0.0, 4.5), canal_depth, 1.0),
    "facet_deg": ((-10.0, 0.0, 10.0), facet_slope, 0.05),
    "lamina_height": ((0.75, 1.0, 1.12), lamina_height, 0.5),
    "lamina_slope_deg": ((-12.0, 0.0, 12.0), lamina_slope, 0.2),
    "spinous_length": ((0.65, 1.0, 1.45), lambda neck: spinous_tip(neck)[0], 4.0),
    "spinous_height": ((0.75, 1.0, 1.15), spinous_height, 0.5),
    "spinous_slope_deg": ((-18.0, 0.0, 22.0), lambda neck: -spinous_tip(neck)[1], 3.0),
    "arch_width": ((1.0, 1.07, 1.14), arch_width, 1.0),
    "arch_tilt_deg": ((0.0, 3.0, 6.0), arch_tilt, 0.5),
    "size": ((0.5, 1.0, 1.2), lambda neck: neck.centres_mm["C1"][2] - neck.centres_mm["C7"][2], 15.0),
}


@pytest.mark.parametrize("axis", MEASURES)
def test_each_proportion_moves_what_it_names_and_the_more_the_farther(axis: str) -> None:
    values, measure, step = MEASURES[axis]
    found = [measure(with_proportions(**{axis: value})) for value in values]

    assert all(after - before >= step for before, after in pairwise(found)), found


def test_every_proportion_has_a_test() -> None:
    assert set(MEASURES) == {one.name for one in fields(ProportionRanges)} - {"head_exponent", "disc_height_level"}


def test_a_fixed_proportion_leaves_the_others_and_the_posture_alone() -> None:
    usual, long = with_proportions(), with_proportions(spinous_length=1.4)

    assert usual.proportions is None
    assert long.proportions == Proportions(spinous_length=1.4)
    assert usual.centres_mm == long.centres_mm
    assert [bone.material for bone in usual.bones] == [bone.material for bone in long.bones]


@cache
def hinges(level: Level) -> tuple[Hinges, NDArray[np.float32]]:
    bone = shipped_anatomies()[0].vertebrae[level]
    found = Hinges.of(level, bone.body.canal_mm, bone.body.canal_size_mm[1], find_sites(level, bone))
    corners = bone.corners_mm()
    axes = [np.arange(low, high, 1.0) for low, high in zip(corners.min(axis=0), corners.max(axis=0), strict=True)]
    return found, np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


@pytest.mark.parametrize("level", CERVICAL)
@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("preset", [WIDE, HELD_OUT], ids=["wide", "held_out"])
def test_a_deformation_is_one_to_one_so_that_no_surface_meets_itself(level: Level, end: int, preset: Variation) -> None:
    found, points = hinges(level)
    made = Deformation(Proportions(**{n: getattr(preset.proportions, n)[end] for n in Proportions.__dataclass_fields__}), found)
    moved = made.now(points)
    slopes = np.stack([np.stack(np.gradient(moved[axis].astype(np.float64))) for axis in range(3)])
    volumes = np.linalg.det(np.moveaxis(slopes.reshape(3, 3, -1), -1, 0))

    np.testing.assert_allclose(made.rest(moved), points, atol=0.02)
    assert volumes.min() > 0.1


@cache
def typical_depths() -> tuple[float, ...]:
    return tuple(depth_of_overlap(sample_neck(np.random.default_rng(seed))) for seed in range(4))


COARSE_MM = 2.0
AROUND_MM = np.stack(np.meshgrid(*3 * [np.arange(-1.0, 2.0)], indexing="ij")).reshape(3, 1, -1)


def depth_of_overlap(neck: Neck) -> float:
    """Returns how deep the surfaces of neighbours lie in each other at most, mm, where they have not grown together.

    Looked for every 2 mm, and every millimetre around places that are nearly the deepest.
    """
    deepest = 0.0
    for upper, lower in pairwise([level.name for level in CERVICAL]):
        pair = neck.bone(upper), neck.bone(lower)
        boxes = [bone.box_mm() for bone in pair]
        low, high = np.max([box.min(axis=0) for box in boxes], axis=0), np.min([box.max(axis=0) for box in boxes], axis=0)
        if frozenset((upper, lower)) in neck.fused or np.any(high <= low):
            continue
        axes = [np.arange(a, b, COARSE_MM) for a, b in zip(low, high, strict=True)]
        world = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
        world = world[:, distance_mm(pair[0], world) < COARSE_MM]
        if world.size:
            both = outside_of_both_mm(pair, world)
            around = world[:, both < both.min() + COARSE_MM, None] + AROUND_MM
            deepest = max(deepest, -float(outside_of_both_mm(pair, around.reshape(3, -1)).min()))
    return deepest


def outside_of_both_mm(pair: tuple[PlacedBone, PlacedBone], world: NDArray[np.float64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.maximum(distance_mm(pair[0], world), distance_mm(pair[1], world))
    return found


def distance_mm(bone: PlacedBone, world: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns how far points of the world, ``(3, n)``, are outside of a bone."""
    return bone.distance((bone.pose.own_matrix @ (world - bone.pose.centre[:, None])).astype(np.float32))


@pytest.mark.parametrize("preset", [WIDE, HELD_OUT], ids=["wide", "held_out"])
def test_neighbours_run_no_deeper_into_each_other_than_those_of_typical_necks(preset: Variation) -> None:
    usual = typical_depths()
    varied = [depth_of_overlap(sample_neck(np.random.default_rng(seed), variation=preset)) for seed in range(4)]

    assert max(varied) < 3.5
    assert np.median(varied) < np.median(usual) + 1.2
