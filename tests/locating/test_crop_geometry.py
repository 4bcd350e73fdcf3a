"""Crops lie around the vertebrae of a tilted stack of blocks."""

from collections.abc import Collection

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.imaging.vertebrae import frame
from cspine.locating.crop_geometry import find_poses, jittered, well_in_view
from cspine.volume import LabelMap

PITCH_MM, HEIGHT_MM, MIDDLE_MM = 16.0, 12.0, (8.0, -20.0, 300.0)
LEANING = (0.1, -0.3, float(np.sqrt(0.9)))
UPRIGHT = Grid.upright(MIDDLE_MM, (100, 64, 48), (1.5, 1.5, 1.5))
STORED = {
    "axial": UPRIGHT,
    "flipped": Grid(
        UPRIGHT.shape, np.array([[0, 0, -1.5, 43.25], [0, -1.5, 0, 27.25], [-1.5, 0, 0, 374.25], [0, 0, 0, 1]], dtype=float)
    ),
    "sagittal": Grid((48, 100, 64), np.array([[1.5, 0, 0, -27.25], [0, 0, 1.5, -67.25], [0, -1.5, 0, 374.25], [0, 0, 0, 1]])),
}


def centre(level: Level, axis: Vector = LEANING) -> np.ndarray:
    return np.array(MIDDLE_MM) + (4.5 - level) * PITCH_MM * np.array(axis)


def blocks(levels: Collection[Level] = tuple(Level), axis: Vector = LEANING, grid: Grid = UPRIGHT) -> LabelMap:
    """Returns a block of 12 mm for each level, 24 mm wide and 20 mm deep, along an axis."""
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    labels = np.zeros(grid.shape, np.uint8)
    for level in levels:
        along, back, left = np.moveaxis(np.abs((world - centre(level, axis)) @ frame(axis)), -1, 0)
        labels[(along < HEIGHT_MM / 2) & (back < 10) & (left < 12)] = level
    return LabelMap(labels, grid)


@pytest.mark.parametrize("stored", STORED)
def test_vertebrae_are_found_along_their_axis_however_the_map_is_stored(stored: str) -> None:
    poses = find_poses(sample(blocks(), STORED[stored]))

    assert list(poses) == list(CERVICAL)
    for level, pose in poses.items():
        np.testing.assert_allclose(pose.centre_mm, centre(level), atol=1.0)
        assert np.degrees(np.arccos(np.dot(pose.axis, LEANING))) < 3  # voxels of 2 mm
        assert pose.height_mm == pytest.approx(HEIGHT_MM, abs=2)


def test_the_three_ways_to_store_hold_the_same_voxels() -> None:
    for grid in STORED.values():
        assert grid.centre_mm == pytest.approx(MIDDLE_MM)
        assert np.count_nonzero(sample(blocks(), grid).labels) == np.count_nonzero(blocks().labels)


def test_a_vertebra_of_which_little_is_seen_has_no_place_and_its_neighbours_keep_theirs() -> None:
    labels = blocks()
    labels.labels[(labels.labels == Level.C4) & (np.cumsum(labels.labels == Level.C4).reshape(labels.labels.shape) > 60)] = 0

    poses = find_poses(labels)

    assert set(poses) == set(CERVICAL) - {Level.C4}
    np.testing.assert_allclose(poses[Level.C3].centre_mm, centre(Level.C3), atol=1.0)
    assert np.degrees(np.arccos(np.dot(poses[Level.C5].axis, LEANING))) < 2


def test_a_single_vertebra_is_upright_and_an_empty_map_has_none() -> None:
    (pose,) = find_poses(blocks([Level.C5])).values()

    assert pose.axis == (0, 0, 1)
    np.testing.assert_allclose(pose.centre_mm, centre(Level.C5), atol=1.5)
    assert find_poses(blocks([])) == {}


def test_a_line_that_leans_too_much_is_not_believed() -> None:
    steep = (0.0, 0.8, 0.6)

    assert {pose.axis for pose in find_poses(blocks(CERVICAL[2:5], steep)).values()} == {(0.0, 0.0, 1.0)}


def test_t1_tells_the_axis_of_c7_and_is_not_named() -> None:
    (pose,) = find_poses(blocks([Level.C7, Level.T1])).values()

    assert np.degrees(np.arccos(np.dot(pose.axis, LEANING))) < 3


def test_a_level_that_the_map_cuts_is_not_well_in_view() -> None:
    labels = blocks(CERVICAL[:-1])
    along = (UPRIGHT.world(np.moveaxis(np.indices(UPRIGHT.shape), 0, -1)) - centre(Level.C1)) @ np.array(LEANING)
    labels.labels[along > -3.5] = 0  # a fifth of C1 is left

    seen = well_in_view(labels)

    assert seen == {level: level not in (Level.C1, Level.C7) for level in CERVICAL}
    assert not any(well_in_view(blocks([])).values())


def test_tilts_are_drawn_and_leave_the_places() -> None:
    poses = find_poses(blocks())

    tilted, again = (jittered(poses, np.random.default_rng(1), 5.0) for _ in range(2))

    assert tilted == again != poses
    angles = [np.degrees(np.arccos(np.dot(tilted[level].axis, poses[level].axis))) for level in poses]
    assert 1 < np.mean(angles) < 15
    for level, pose in tilted.items():
        assert (pose.centre_mm, pose.height_mm) == (poses[level].centre_mm, poses[level].height_mm)
        assert np.linalg.norm(pose.axis) == pytest.approx(1)
