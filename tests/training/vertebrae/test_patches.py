"""Small parts of slices, half of them on a fracture."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.training.core.marks import BOX_BIT
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.patches import PatchBatches, PatchOrder, fixed_patches, sample_patch
from cspine.training.vertebrae.patches import find_patch_centres
from tests.training.vertebrae.small import BONE, BREAK, RECIPE, STILL, study

STUDIES = [study(0, 2), study(1), study(2, 4, boxes=False)]
AS_CUT = replace(RECIPE, augmentation=STILL)


def test_places_lie_on_known_fractures_and_on_bone_that_is_known_to_be_intact() -> None:
    places = find_patch_centres(STUDIES, RECIPE)

    marks = [STUDIES[number].marks[i, z, y, x] for number, i, z, y, x in places.fractured]
    assert set(marks) == {3 + BOX_BIT}
    assert len(marks) == 3 * 3 * 4
    intact = [(number, i, STUDIES[number].marks[i, z, y, x]) for number, i, z, y, x in places.intact]
    assert all(mark == i + 1 for _, i, mark in intact)
    assert {number for number, _, _ in intact} == {0, 1, 2}
    assert (2, 4) not in {(number, i) for number, i, _ in intact}  # broken, and nobody knows where


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_a_cell_of_a_patch_is_broken_where_its_picture_is(mirrored: float) -> None:
    recipe = replace(AS_CUT, augmentation=replace(STILL, flip_share=mirrored), patches=replace(AS_CUT.patches, fractured_share=1.0))
    places = find_patch_centres(STUDIES, recipe)

    for number in range(10):
        fed, cells = sample_patch(np.random.default_rng(number), places, recipe.patches)

        assert fed.shape == (32, 32, 4)
        bone, breaks = fed[..., 1] >= BONE / 255 - 1e-6, fed[..., 1] >= BREAK / 255 - 1e-6
        np.testing.assert_array_equal(bone, fed[..., 3] == 1)
        np.testing.assert_array_equal(cells, breaks.reshape(4, 8, 4, 8).mean(axis=(1, 3)) >= 0.1)
        assert cells.any()


def test_patches_of_intact_bone_show_a_break_only_where_one_is_near() -> None:
    recipe = replace(AS_CUT, patches=replace(AS_CUT.patches, fractured_share=0.0))
    places = find_patch_centres([study(1)], recipe)

    assert not any(sample_patch(np.random.default_rng(number), places, recipe.patches)[1].any() for number in range(10))


def test_a_coarser_scan_changes_the_picture_alone() -> None:
    fine, coarse = (
        replace(AS_CUT, augmentation=replace(STILL, coarse_share=1.0, coarse_mm=mm)) for mm in ((1e-6, 1e-6), (12.0, 1e-6))
    )
    duller = []

    for number in range(10):
        (sharp, cells), (dull, same) = (
            sample_patch(np.random.default_rng(number), find_patch_centres(STUDIES, one), one.patches) for one in (fine, coarse)
        )

        np.testing.assert_array_equal(cells, same)
        np.testing.assert_array_equal(sharp[..., 3], dull[..., 3])
        assert dull[..., :3].std() <= sharp[..., :3].std()
        duller.append(not np.array_equal(dull, sharp))
    assert sum(duller) >= 7  # slices may be as thin as they were


def test_a_batch_follows_from_seed_epoch_and_number_wherever_one_begins() -> None:
    places = find_patch_centres(STUDIES, RECIPE)
    whole, rest, other = (
        PatchBatches(places, RECIPE.patches, PatchOrder(RECIPE.seed, 0), epoch, first) for epoch, first in ((1, 0), (1, 2), (2, 0))
    )

    assert (len(whole), len(rest)) == (3, 1)
    for one, again in zip(whole[2], rest[0], strict=True):
        np.testing.assert_array_equal(one, again)
    assert whole[0][0].shape == (4, 32, 32, 4)
    assert whole[0][1].shape == (4, 4, 4, 1)
    assert not np.array_equal(whole[0][0], other[0][0])


def test_the_network_is_validated_on_the_same_patches_and_on_none_where_there_are_none() -> None:
    source = find_patch_centres(STUDIES, RECIPE)
    first, again = (fixed_patches(source, RECIPE.patches, RECIPE.seed) for _ in range(2))

    assert len(first) == RECIPE.patches.held_out
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert fixed_patches(find_patch_centres([], RECIPE), RECIPE.patches, RECIPE.seed) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (48, 64)}, r"patches\.size needs multiples of 32\. Received: \(48, 64\)"),
        ({"size": (0, 32)}, r"patches\.size must be numbers, each 1 or more\. Received: \(0, 32\)"),
        ({"batch": 0}, r"patches\.batch must be 1 or more\. Received: 0"),
        ({"epochs": -1}, r"patches\.epochs must be 0 or more\. Received: -1"),
        ({"held_out": 0}, r"patches\.held_out must be 1 or more\. Received: 0"),
        ({"fractured_share": 1.5}, r"patches\.fractured_share must be 0 or more and 1 or less\. Received: 1\.5"),
    ],
)
def test_settings_of_patches_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PatchSettings(**change)


@pytest.mark.parametrize("change", [{"epochs": -1}, {"learning_rate": 0.0}])
def test_settings_of_heads_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"heads\.{next(iter(change))} must be (0 or more|above 0)\."):
        HeadSettings(**change)
