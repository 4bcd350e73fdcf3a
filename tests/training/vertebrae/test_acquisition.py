"""Crops as another kernel, other noise and metal show them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.imaging.vertebrae import STEPS
from cspine.training.vertebrae.acquisition import (
    CropKernel,
    CropStreaks,
    reconstructed,
    sample_grain,
    sample_kernel,
    sample_noise,
    sample_streaks,
    streaks_in,
)
from cspine.training.vertebrae.augmentation import Voxels, coarsened, sample_study_change, scanned, unchanged
from cspine.training.vertebrae.batches import study_input
from cspine.training.vertebrae.patches import find_patch_centres
from cspine.training.vertebrae.settings import CropAugmentation
from tests.training.vertebrae.small import RECIPE, STILL, study

SPACING = (1.0, 0.5, 0.5)
FINE_PIXELS = replace(RECIPE, input=replace(RECIPE.input, spacing_mm=(2.0, 0.5, 0.5)))
OTHER = replace(STILL, kernel_share=1.0, softest_mm=1.0, sharpness_gain=2.0)


@pytest.fixture
def edge() -> NDArray[np.uint8]:
    """Returns slices with an edge between columns 19 and 20."""
    grey = np.full((4, 30, 40), 80, np.uint8)
    grey[..., 20:] = 160
    return grey


def test_a_soft_kernel_blurs_within_slices_only(edge: NDArray[np.uint8]) -> None:
    edge[2] = 80

    soft = reconstructed(edge, CropKernel(blur_mm=0.8), SPACING)

    assert np.diff(soft[0, 15].astype(int)).max() < 30
    np.testing.assert_array_equal(soft[2], 80)
    assert soft[0, 15, 0] == 80


def test_a_sharp_kernel_overshoots_beside_an_edge_and_keeps_what_is_even(edge: NDArray[np.uint8]) -> None:
    sharp = reconstructed(edge, CropKernel(boost=2.0), SPACING)

    assert sharp[0, 15].max() > 180
    assert sharp[0, 15].min() < 60
    assert sharp[0, 15, 0] == 80
    assert sharp[0, 15, -1] == 160
    assert reconstructed(np.full((1, 8, 8), STEPS, np.uint8), CropKernel(boost=2.0), SPACING).min() == STEPS


def test_kernels_are_soft_as_often_as_sharp_and_within_limits() -> None:
    rng = np.random.default_rng(0)
    kernels = [sample_kernel(rng, replace(OTHER, kernel_share=0.5)) for _ in range(2000)]
    other = [kernel for kernel in kernels if kernel is not None]

    assert 0.45 < len(other) / 2000 < 0.55
    assert 0.45 < np.mean([kernel.boost > 0 for kernel in other]) < 0.55
    assert 0.9 < max(kernel.blur_mm for kernel in other) <= 1.0
    assert 1.9 < max(kernel.boost for kernel in other) <= 2.0
    assert all(kernel.blur_mm == 0 or kernel.boost == 0 for kernel in other)


def test_noise_has_a_standard_deviation_of_one_whatever_its_grain() -> None:
    fine, coarse = (sample_noise(np.random.default_rng(0), (20, 60, 60), (0.0, g, g), SPACING) for g in (0.0, 0.8))

    def beside(noise: NDArray[np.float32], axis: int) -> float:
        return float((noise * np.roll(noise, 1, axis)).mean())

    assert fine.std() == pytest.approx(1, abs=0.02)
    assert coarse.std() == pytest.approx(1, abs=1e-3)
    assert abs(beside(fine, 2)) < 0.02
    assert beside(coarse, 2) > 0.7
    assert abs(beside(coarse, 0)) < 0.05
    assert beside(sample_noise(np.random.default_rng(0), (20, 60, 60), (1.0, 0.0, 0.0), SPACING), 0) > 0.5


def test_grain_is_sampled_across_and_within_slices() -> None:
    rng = np.random.default_rng(0)
    grains = np.array([sample_grain(rng, replace(STILL, grain_mm=0.8)) for _ in range(500)])

    assert 0.75 < grains.max() <= 0.8
    np.testing.assert_array_equal(grains[:, 1], grains[:, 2])
    assert abs(np.corrcoef(grains[:, 0], grains[:, 1])[0, 1]) < 0.15


def test_streaks_are_as_strong_as_asked_in_the_middle_and_fade_with_height_and_distance() -> None:
    streaks = CropStreaks(3, 0.1, (2.0, -40.0, 0.0), 4.0, np.array([7, 9, 13, 17, 23]), np.linspace(0, 5, 5))

    added = streaks_in(streaks, (51, 128, 160), SPACING)

    assert np.abs(added).mean(axis=(1, 2)).argmax() == 27
    assert 0.05 < added[27, 54:74, 70:90].std() < 0.2
    assert np.abs(added[:15]).max() < 1e-3
    assert np.abs(added[27, :40]).mean() > np.abs(added[27, -40:]).mean()


def test_metal_is_as_rare_as_asked_and_in_front() -> None:
    rng, settings = np.random.default_rng(0), replace(STILL, streak_share=0.3, streak_hu=150.0)
    found = [sample_streaks(rng, settings, (-200.0, 1700.0)) for _ in range(1000)]
    streaks = [one for one in found if one is not None]

    assert 0.25 < len(streaks) / 1000 < 0.35
    assert max(one.strength for one in streaks) <= 150 / 1900
    assert max(one.source_mm[1] for one in streaks) <= -30
    assert {one.level for one in streaks} == set(range(7))


@pytest.mark.parametrize("settings", [OTHER, replace(STILL, streak_share=1.0, streak_hu=400.0)])
def test_studies_show_it_and_masks_and_labels_stay(settings: CropAugmentation) -> None:
    recipe = replace(FINE_PIXELS, augmentation=settings)
    given = study(1, 3)
    plain, targets = study_input(given, unchanged(), recipe)

    fed, same = study_input(given, sample_study_change(np.random.default_rng(1), recipe), recipe)

    assert np.abs(fed[..., :-1] - plain[..., :-1]).max() > 0.02
    np.testing.assert_array_equal(fed[..., -1], plain[..., -1])
    for name, target in targets.items():
        np.testing.assert_array_equal(target, same[name])


@pytest.mark.parametrize("settings", [OTHER, replace(STILL, streak_share=1.0, streak_hu=400.0)])
def test_patches_show_it_and_masks_and_cells_stay(settings: CropAugmentation) -> None:
    recipe = replace(FINE_PIXELS, augmentation=settings, patches=replace(RECIPE.patches, shift_px=0))
    source = find_patch_centres([study(1, 3)], recipe)
    plain = find_patch_centres([study(1, 3)], replace(recipe, augmentation=STILL))
    changes = []
    for number, centre in enumerate(source.fractured[:20]):
        (fed, cells), (still, same) = (one.cut(np.random.default_rng(number), centre) for one in (source, plain))
        np.testing.assert_array_equal(fed[..., -1], still[..., -1])
        np.testing.assert_array_equal(cells, same)
        changes.append(np.abs(fed[..., :-1] - still[..., :-1]).max())

    assert np.median(changes) > 0.02


def test_noise_of_a_study_has_the_grain_that_was_sampled() -> None:
    recipe = replace(RECIPE, augmentation=replace(STILL, noise_hu=300.0, grain_mm=6.0))
    given = study(1)
    change = replace(unchanged(), noise=0.2, grain_mm=(0.0, 6.0, 6.0), seed=4)

    added = study_input(given, change, recipe)[0] - study_input(given, unchanged(), recipe)[0]

    picture = added[0, :, :, :, 1]
    assert picture.std() > 0.05
    assert np.corrcoef(picture[:, :, 1:].ravel(), picture[:, :, :-1].ravel())[0, 1] > 0.8


def test_a_kernel_comes_before_larger_voxels(edge: NDArray[np.uint8]) -> None:
    kernel, voxels = CropKernel(boost=2.0), Voxels((0.0, 2.0, 2.0), (0.0, 0.25, 0.25))
    wanted = coarsened(reconstructed(edge, kernel, SPACING), voxels, SPACING)

    np.testing.assert_array_equal(scanned(edge, kernel, voxels, SPACING), wanted)
    np.testing.assert_array_equal(scanned(edge, None, None, SPACING), edge)
