"""Small parts of slices, half of them on a fracture."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.training.core.marks import BOX_BIT
from cspine.training.vertebrae.patches import PatchBatches, find_patch_centres, fixed_patches, sample_patch
from cspine.training.vertebrae.settings import HeadSettings, PatchSettings
from tests.training.vertebrae.small import BONE, BREAK, RECIPE, STILL, study

STUDIES = [study(0, 2), study(1), study(2, 4, boxes=False)]
AS_CUT = replace(RECIPE, augmentation=STILL)


def test_places_lie_on_known_fractures_and_on_bone_that_is_known_to_be_whole() -> None:
    places = find_patch_centres(STUDIES, RECIPE)

    marks = [STUDIES[number].marks[i, z, y, x] for number, i, z, y, x in places.fractured]
    assert set(marks) == {3 + BOX_BIT}
    assert len(marks) == 3 * 3 * 4
    whole = [(number, i, STUDIES[number].marks[i, z, y, x]) for number, i, z, y, x in places.intact]
    assert all(mark == i + 1 for _, i, mark in whole)
    assert {number for number, _, _ in whole} == {0, 1, 2}
    assert (2, 4) not in {(number, i) for number, i, _ in whole}  # broken, and nobody knows where


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_a_cell_of_a_patch_is_broken_where_its_picture_is(mirrored: float) -> None:
    recipe = replace(AS_CUT, augmentation=replace(STILL, flip_share=mirrored), patches=replace(AS_CUT.patches, fractured_share=1.0))
    places = find_patch_centres(STUDIES, recipe)

    for number in range(10):
        fed, cells = sample_patch(np.random.default_rng(number), places, recipe)

        assert fed.shape == (32, 32, 4)
        bone, breaks = fed[..., 1] >= BONE / 255 - 1e-6, fed[..., 1] >= BREAK / 255 - 1e-6
        np.testing.assert_array_equal(bone, fed[..., 3] == 1)
        np.testing.assert_array_equal(cells, breaks.reshape(4, 8, 4, 8).mean(axis=(1, 3)) >= 0.1)
        assert cells.any()


def test_patches_of_whole_bone_show_a_break_only_where_one_is_near() -> None:
    recipe = replace(AS_CUT, patches=replace(AS_CUT.patches, fractured_share=0.0))
    places = find_patch_centres([study(1)], recipe)

    assert not any(sample_patch(np.random.default_rng(number), places, recipe)[1].any() for number in range(10))


def test_a_coarser_scan_changes_the_picture_alone() -> None:
    fine, coarse = (
        replace(AS_CUT, augmentation=replace(STILL, coarse_share=1.0, coarse_mm=mm)) for mm in ((1e-6, 1e-6), (12.0, 1e-6))
    )
    places, duller = find_patch_centres(STUDIES, fine), []

    for number in range(10):
        (sharp, cells), (dull, same) = (sample_patch(np.random.default_rng(number), places, one) for one in (fine, coarse))

        np.testing.assert_array_equal(cells, same)
        np.testing.assert_array_equal(sharp[..., 3], dull[..., 3])
        assert dull[..., :3].std() <= sharp[..., :3].std()
        duller.append(not np.array_equal(dull, sharp))
    assert sum(duller) >= 7  # slices may be as thin as they were


def test_a_batch_follows_from_seed_epoch_and_number_wherever_one_begins() -> None:
    places = find_patch_centres(STUDIES, RECIPE)
    whole, rest, other = (PatchBatches(places, RECIPE, 0, epoch, first) for epoch, first in ((1, 0), (1, 2), (2, 0)))

    assert (len(whole), len(rest)) == (3, 1)
    for one, again in zip(whole[2], rest[0], strict=True):
        np.testing.assert_array_equal(one, again)
    assert whole[0][0].shape == (4, 32, 32, 4)
    assert whole[0][1].shape == (4, 4, 4, 1)
    assert not np.array_equal(whole[0][0], other[0][0])


def test_the_network_is_validated_on_the_same_patches_and_on_none_where_there_are_none() -> None:
    first, again = fixed_patches(STUDIES, RECIPE), fixed_patches(STUDIES, RECIPE)

    assert len(first) == RECIPE.patches.held_out
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert fixed_patches([], RECIPE) == []


@pytest.mark.parametrize("change", [{"size": (48, 64)}, {"size": (0, 32)}, {"batch": 0}, {"epochs": -1}, {"held_out": 0}])
def test_settings_of_patches_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="patches needs a batch, batches, epochs and sides in multiples of 32"):
        PatchSettings(**change)


@pytest.mark.parametrize("change", [{"epochs": -1}, {"learning_rate": 0.0}])
def test_settings_of_heads_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="heads needs epochs and a learning_rate above 0"):
        HeadSettings(**change)
