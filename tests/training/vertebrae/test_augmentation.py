"""Crops as a scan of larger voxels shows them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.training.vertebrae.augmentation import Voxels, coarsened, sample_voxels
from cspine.training.vertebrae.settings import CropAugmentation

SPACING = (1.0, 0.5, 0.5)
FROM_THE_EDGE = (0.0, 0.0, 0.0)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 40)).astype(np.uint8)


@pytest.mark.parametrize("mm", [(0.0, 0.0, 0.0), (1.0, 0.5, 0.5), (0.7, 0.5, 0.1)])
def test_voxels_no_larger_than_those_of_the_picture_change_nothing(picture: NDArray[np.uint8], mm: tuple[float, ...]) -> None:
    np.testing.assert_array_equal(coarsened(picture, Voxels((mm[0], mm[1], mm[2]), (0.5, 0.25, 0.0)), SPACING), picture)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_in_the_middle_of_a_voxel_is_its_mean_and_other_axes_stay(picture: NDArray[np.uint8], axis: int) -> None:
    mm = [3.0 * SPACING[a] if a == axis else 0.0 for a in range(3)]

    found = coarsened(picture, Voxels((mm[0], mm[1], mm[2]), FROM_THE_EDGE), SPACING)

    along, given = np.moveaxis(found, axis, 0), np.moveaxis(picture, axis, 0)
    for voxel in range(given.shape[0] // 3):
        mean = given[3 * voxel : 3 * voxel + 3].astype(float).mean(axis=0)
        np.testing.assert_allclose(along[3 * voxel + 1], mean, atol=0.51)


@pytest.mark.parametrize("phase", [0.0, 0.375, 0.875])
def test_between_middles_it_is_linear(phase: float) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 6, dtype=np.uint8)[:, None, None], (40, 8, 8))

    found = coarsened(ramp, Voxels((3.7, 1.4, 1.4), (phase, phase, phase)), SPACING)

    np.testing.assert_allclose(found[4:-4].astype(int), ramp[4:-4], atol=1)
    assert np.ptp(found, axis=(1, 2)).max() <= 1


def test_voxels_are_sampled_within_limits_and_lie_across_the_spine_mostly() -> None:
    settings = CropAugmentation(coarse_share=0.5, coarse_mm=(4.0, 1.0))
    rng = np.random.default_rng(1)

    drawn = [sample_voxels(rng, settings) for _ in range(2000)]

    coarse = np.array([one.mm for one in drawn if one is not None])
    assert 0.45 < len(coarse) / len(drawn) < 0.55
    assert coarse.max() < 4.0
    assert np.sort(coarse, axis=1)[:, :2].max() < 1.0  # pixels; slices are the longest side, unless all are short
    thick = coarse.max(axis=1) > 1.0
    assert 0.6 < np.mean(np.argmax(coarse[thick], axis=1) == 0) < 0.8
    assert all(0 <= part < 1 for one in drawn if one is not None for part in one.phase)


def test_none_are_sampled_where_scans_stay_as_they_are() -> None:
    rng = np.random.default_rng(2)

    assert all(sample_voxels(rng, replace(CropAugmentation(), coarse_share=0.0)) is None for _ in range(50))
