"""Shapes are signed distances, textures are functions of place."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.neck import Warp
from cspine.phantoms.model.posture import CHAIN, BonePose, Joint, stack
from cspine.phantoms.model.shapes import Capsule, Combined, Ellipsoid, ImplicitShape, Moved, Sampled, near_box
from cspine.phantoms.model.texture import value_noise

C5 = shipped_anatomies()[0].vertebrae[Level.C5]
SHAPES: list[ImplicitShape] = [
    Capsule((0, 0, -5), (3, 1, 6), 3.0),
    Ellipsoid((1, 2, 3), (6, 5, 7)),
    Combined((Ellipsoid((0, 0, 0), (6, 6, 6)), Capsule((0, 0, 0), (9, 0, 0), 2.0)), (Ellipsoid((0, 0, 5), (3, 3, 3)),)),
    Sampled(C5),
]


def points(seed: int = 0, count: int = 4000, size_mm: float = 12.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, size_mm, (3, count)).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_lies_inside_lies_in_the_box(shape: ImplicitShape) -> None:
    cloud = points()
    low, high = shape.box_mm()
    inside = cloud[:, shape.distance(cloud) < 0]

    assert inside.shape[1] > 20
    assert np.all(low <= inside.T)
    assert np.all(high >= inside.T)
    assert set(np.flatnonzero(shape.distance(cloud) < 0)) <= set(near_box(shape, cloud, 0.0))


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_a_point_on_the_surface_is_as_far_as_its_neighbour_is_away(shape: ImplicitShape) -> None:
    cloud = points()
    near = cloud[:, np.abs(shape.distance(cloud)) < 0.8]
    step = 0.05
    slope = [
        (shape.distance(near + d) - shape.distance(near - d)) / (2 * step) for d in np.eye(3, dtype=np.float32)[:, :, None] * step
    ]

    assert np.median(np.linalg.norm(slope, axis=0)) == pytest.approx(1, abs=0.05)


def test_a_moved_shape_is_the_shape_elsewhere() -> None:
    frame = np.eye(4)
    frame[:3, :3] = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    frame[:3, 3] = 5, -7, 2
    moved, cloud = Moved(SHAPES[3], frame), points()

    world = (frame[:3, :3] @ cloud + frame[:3, 3:]).astype(np.float32)

    np.testing.assert_allclose(moved.distance(world), SHAPES[3].distance(cloud), atol=2e-3)
    edges = np.diag(np.array([0.3, 0.4, 1.0], np.float32))
    turned = (frame[:3, :3] @ edges).astype(np.float32)
    np.testing.assert_allclose(moved.width(world, turned), SHAPES[3].width(cloud, edges), atol=1e-3)


def test_a_flat_voxel_is_wide_only_across_its_long_side() -> None:
    edges = np.diag(np.array([0.4, 0.4, 2.0], np.float32))
    end_plate = np.array([[0.0], [0.0], [C5.body.size_mm[2] / 2]], np.float32)
    front = np.array([[0.0], [-C5.body.size_mm[1] / 2], [0.0]], np.float32)

    assert Sampled(C5).width(end_plate, edges)[0] > 1.5
    assert Sampled(C5).width(front, edges)[0] < 1.2


def test_noise_has_deviation_one_and_does_not_depend_on_the_company() -> None:
    cloud = points(size_mm=80)
    values = value_noise(cloud, 3.0, 17)

    assert values.std() == pytest.approx(1, abs=0.2)
    assert abs(values.mean()) < 0.1
    np.testing.assert_array_equal(value_noise(cloud[:, 10:20], 3.0, 17), values[10:20])
    assert abs(np.corrcoef(values, value_noise(cloud, 3.0, 18))[0, 1]) < 0.1


def test_a_warp_moves_no_farther_than_it_says_and_can_be_undone() -> None:
    rng = np.random.default_rng(2)
    wave = rng.normal(0, 0.1, (3, 3)).astype(np.float32)
    warp = Warp(rng.normal(0, 0.4, (3, 3)).astype(np.float32), wave, np.zeros(3, np.float32), tail_mm=20.0, longer=1.3, lower=0.2)
    cloud = points(size_mm=15)
    cloud[1] = np.clip(cloud[1], -40, 50)

    moved = warp(cloud)

    assert np.linalg.norm(moved - cloud, axis=0).max() <= warp.reach_mm
    np.testing.assert_allclose(warp(warp.back(cloud)), cloud, atol=0.05)
    assert Warp.none()(cloud) is cloud
    tail = replace(warp, size_mm=np.zeros((3, 3), np.float32))
    before = cloud[1] < 20
    np.testing.assert_array_equal(tail(cloud)[:, before], cloud[:, before])


def chain(joint: Joint) -> dict[str, BonePose]:
    step = np.eye(4)
    step[2, 3] = 18
    names = CHAIN[3:6]
    sizes = dict.fromkeys(names, np.array([1.0, 1.0, 0.5]))
    return stack(dict.fromkeys(names, step), sizes, dict.fromkeys(names, Joint((0, 0, 0))) | {names[2]: joint}, (1, 2, 3))


def test_vertebrae_stand_on_each_other_as_tall_as_they_are() -> None:
    poses = chain(Joint((0, 0, 0), stretch=1.1, slip_mm=(0.5, 0, 0)))

    np.testing.assert_allclose([pose.centre for pose in poses.values()], [(1, 2, 3), (1, 2, 12), (1.5, 2, 21.9)])


@pytest.mark.parametrize(("angles", "axis", "sign"), [((10, 0, 0), 1, -1), ((0, 10, 0), 0, 1)])
def test_bending_forwards_and_to_the_left_moves_the_head_there(angles: tuple[float, float, float], axis: int, sign: int) -> None:
    straight, bent = chain(Joint((0, 0, 0))), chain(Joint(angles))
    top = np.array([0, 0, 30.0])

    moved = bent[CHAIN[5]].to_world(top) - straight[CHAIN[5]].to_world(top)

    assert sign * moved[axis] > 2


def test_turning_to_the_left_takes_the_nose_there() -> None:
    nose = chain(Joint((0, 0, 20)))[CHAIN[5]].to_world(np.array([0, -50.0, 0]))

    assert nose[0] > 1 + 10
