"""Studies that are augmented, and what they then show."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, UNKNOWN
from cspine.training.core.settings import AnnotationUse
from cspine.training.vertebrae.augmentation import StudyChange, Voxels, sample_study_change, unchanged
from cspine.training.vertebrae.batches import VertebraBatches, fracture_bit, mixed, study_input
from cspine.training.vertebrae.settings import CropAugmentation, VertebraLabels, VertebraRecipe
from tests.training.vertebrae.small import BONE, BREAK, RECIPE, SPEC, STILL, study

MOVED = replace(STILL, shift_mm=5.0, height_scale=0.2, flip_share=0.5)


def sampled(number: int, settings: CropAugmentation) -> StudyChange:
    return sample_study_change(np.random.default_rng(number), replace(RECIPE, augmentation=settings))


def cells_of(picture: np.ndarray) -> np.ndarray:
    """Returns the share of each cell of 8 x 8 pixels."""
    slices, rows, columns = picture.shape
    return np.asarray(picture.reshape(slices, rows // 8, 8, columns // 8, 8).mean(axis=(2, 4)))


def same(one: StudyChange, other: StudyChange) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in StudyChange.__dataclass_fields__)


def test_a_study_that_is_classified_is_the_middle_of_what_was_cut() -> None:
    given = study(1, 2)

    fed, targets = study_input(given, unchanged(), RECIPE)

    assert fed.shape == SPEC.shape
    assert fed.dtype == np.float32
    chosen = [1, 3, 4, 6]
    np.testing.assert_allclose(fed[2, :, :, :, 1] * 255, given.grey[2, 2:-2, 4:-4, 4:-4][chosen], atol=1e-4)
    np.testing.assert_array_equal(fed[2, :, ::2, ::2, 3], given.marks[2, 2:-2, 2:-2, 2:-2][chosen] % BOX_BIT == 3)
    assert {name: target.shape for name, target in targets.items()} == {
        "fracture": (7,),
        "overall": (1,),
        "slices": (7, 4),
        "fracture_map": (7, 4, 4, 4),
    }
    np.testing.assert_array_equal(targets["fracture"], [0, 0, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(targets["overall"], [1])
    np.testing.assert_array_equal(targets["slices"][2], [0, 1, 1, 0])


@pytest.mark.parametrize("number", range(8))
def test_picture_mask_and_fracture_move_together(number: int) -> None:
    given, change = study(number, 4), sampled(number, MOVED)

    fed, targets = study_input(given, change, RECIPE)

    bone, breaks = fed[..., 1] >= BONE / 255 - 1e-6, fed[..., 1] >= BREAK / 255 - 1e-6
    assert breaks.any()
    np.testing.assert_array_equal(bone, fed[..., 3] == 1)
    np.testing.assert_array_equal(targets["fracture_map"][4], cells_of(breaks[4]) >= 0.1)
    np.testing.assert_array_equal(targets["slices"][4], breaks[4].any(axis=(1, 2)))
    assert not targets["fracture_map"][[0, 1, 2, 3, 5, 6]].any()


def test_crops_do_move_and_are_mirrored() -> None:
    changes = [sampled(number, MOVED) for number in range(8)]

    assert {change.mirrored for change in changes} == {True, False}
    assert max(np.abs(change.shift).max() for change in changes) == 2
    assert all(np.abs(change.shift[:, 0]).max() <= 2 for change in changes)


def test_a_fracture_that_was_not_cut_is_not_trained_on() -> None:
    given = study(1, 3)
    marks = given.marks % BOX_BIT

    _, targets = study_input(replace(given, marks=marks), unchanged(), RECIPE)

    np.testing.assert_array_equal(targets["fracture"], [0, 0, 0, UNKNOWN, 0, 0, 0])
    assert targets["overall"] == [UNKNOWN]


def test_a_mirrored_study_is_the_study_from_right_to_left() -> None:
    change = unchanged()

    fed, targets = study_input(study(1, 3), change, RECIPE)
    turned, turned_targets = study_input(study(1, 3), replace(change, mirrored=True), RECIPE)

    np.testing.assert_array_equal(turned, fed[..., ::-1, :])
    np.testing.assert_array_equal(turned_targets["fracture_map"], targets["fracture_map"][..., ::-1])
    assert not np.array_equal(turned_targets["fracture_map"], targets["fracture_map"])
    np.testing.assert_array_equal(turned_targets["slices"], targets["slices"])


def test_colours_change_the_picture_and_neither_mask_nor_targets() -> None:
    before, targets = study_input(study(1, 3), unchanged(), RECIPE)

    fed, found = study_input(study(1, 3), replace(unchanged(), gain=1.1, offset=-0.05, noise=0.02, seed=4), RECIPE)

    assert not np.allclose(fed[..., :3], before[..., :3], atol=0.02)
    assert fed.min() >= 0
    assert fed.max() <= 1
    np.testing.assert_array_equal(fed[..., 3], before[..., 3])
    for name, target in targets.items():
        np.testing.assert_array_equal(found[name], target)


def test_contrast_grows_around_the_middle_of_the_window() -> None:
    before, _ = study_input(study(1), unchanged(), RECIPE)

    fed, _ = study_input(study(1), replace(unchanged(), gain=1.2, offset=0.1), RECIPE)

    np.testing.assert_allclose(fed[..., :3], np.clip((before[..., :3] - 0.5) * 1.2 + 0.6, 0, 1), atol=0.5 / 255 + 1e-6)


def test_noise_is_as_strong_as_it_is_said_and_makes_nothing_darker() -> None:
    before, _ = study_input(study(1), unchanged(), RECIPE)

    fed, _ = study_input(study(1), replace(unchanged(), noise=0.03, seed=1), RECIPE)

    off = (fed - before)[..., :3]
    assert off.std() == pytest.approx(0.03, rel=0.05)
    assert abs(off.mean()) < 0.0005


def test_a_wrong_mask_is_moved_or_grown_and_the_picture_stays() -> None:
    before, _ = study_input(study(1), unchanged(), RECIPE)
    moved, _ = study_input(study(1), replace(unchanged(), mask_shift=np.tile([0, 1, 0], (7, 1))), RECIPE)
    grown, _ = study_input(study(1), replace(unchanged(), grown=np.array([1, -1, 0, 0, 0, 0, 0])), RECIPE)

    np.testing.assert_array_equal(moved[..., :3], before[..., :3])
    np.testing.assert_array_equal(moved[:, :, :-2, :, 3], before[:, :, 2:, :, 3])
    np.testing.assert_array_equal(grown[..., :3], before[..., :3])
    sizes = grown[..., 3].sum(axis=(1, 2, 3)) - before[..., 3].sum(axis=(1, 2, 3))
    assert sizes[0] > 0 > sizes[1]
    assert not sizes[2:].any()


def test_a_level_that_is_hidden_is_not_fed_and_not_known() -> None:
    shown = np.array([True, True, True, True, False, False, False])

    fed, targets = study_input(study(1, 2), replace(unchanged(), shown=shown), RECIPE)

    assert fed[:4].any(axis=(1, 2, 3, 4)).all()
    assert not fed[4:].any()
    for name in ("fracture", "slices", "fracture_map"):
        assert np.all(targets[name][4:] == UNKNOWN)
        assert np.all(targets[name][:4] >= 0)
    assert targets["overall"] == [1]


def test_a_study_whose_break_is_hidden_is_whole_as_far_as_it_is_seen() -> None:
    shown = np.arange(7) < 4

    assert study_input(study(1, 5), replace(unchanged(), shown=shown), RECIPE)[1]["overall"] == [0]


@pytest.mark.parametrize(("broken", "overall"), [((5,), UNKNOWN), ((2, 5), 1), ((2,), 1), ((), 0)])
def test_a_break_that_may_lie_outside_the_picture_leaves_the_study_unknown(broken: tuple[int, ...], overall: float) -> None:
    given = study(1)
    case = replace(given.case, fractured=tuple(i in broken for i in range(7)))

    _, targets = study_input(replace(given, case=case, learnable=np.arange(7) != 5), unchanged(), RECIPE)

    assert targets["overall"] == [overall]
    assert targets["fracture"][5] == UNKNOWN
    assert np.all(targets["fracture"][:5] >= 0)


def test_a_level_that_is_not_there_is_zeros() -> None:
    given = study(1, 2)

    fed, targets = study_input(replace(given, heights_mm=np.array([12.0, 0, 12, 12, 12, 12, 12])), unchanged(), RECIPE)

    assert not fed[1].any()
    assert targets["fracture"][1] == UNKNOWN


def test_hidden_levels_leave_neighbours_in_view() -> None:
    for number in range(20):
        shown = np.flatnonzero(sampled(number, replace(STILL, hidden_share=1.0)).shown)
        assert len(shown) == shown[-1] - shown[0] + 1
    assert sampled(0, STILL).shown.all()


def test_nothing_is_done_to_a_study_where_nothing_may_be() -> None:
    change = sampled(5, STILL)

    assert same(replace(change, seed=0), unchanged())


def test_fracture_masks_of_a_phantom_come_before_boxes_and_either_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "fractures.nii.gz").touch()
    boxed, bare = study(1, 2), study(1, 2, boxes=False)
    phantom = replace(boxed, case=replace(boxed.case, truth=tmp_path))

    def bits(labels: VertebraLabels) -> list[int | None]:
        return [fracture_bit(one, replace(RECIPE, labels=labels)) for one in (phantom, boxed, bare)]

    assert bits(VertebraLabels()) == [FRACTURE_BIT, BOX_BIT, None]
    assert bits(VertebraLabels(fracture_masks=AnnotationUse.IGNORE)) == [BOX_BIT, BOX_BIT, None]
    assert bits(VertebraLabels(AnnotationUse.IGNORE, AnnotationUse.IGNORE)) == [None, None, None]


def batches(epoch: int = 0, first: int = 0, change: Callable[[VertebraRecipe], VertebraRecipe] = lambda r: r) -> VertebraBatches:
    return VertebraBatches([study(i, i if i % 2 else None) for i in range(5)], change(RECIPE), 0, epoch, first)


def test_a_batch_follows_from_seed_epoch_and_number_wherever_one_begins() -> None:
    whole, rest, other = batches(1), batches(1, 2), batches(2)

    assert (len(whole), len(rest)) == (3, 1)
    for one, again in ((whole[2], rest[0]), (whole[1], batches(1)[1])):
        np.testing.assert_array_equal(one[0], again[0])
        for name, target in one[1].items():
            np.testing.assert_array_equal(target, again[1][name])
    assert not np.array_equal(whole[2][0], other[2][0])
    assert not np.array_equal(whole[0][0], batches(1, change=lambda recipe: replace(recipe, seed=4))[0][0])
    assert whole[0][0].shape == (2, *SPEC.shape)
    assert whole[0][1]["fracture"].shape == (2, 7)


def test_mixed_studies_are_as_broken_as_their_shares_and_unknown_where_either_is() -> None:
    fed = np.stack([np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32)])
    targets = {"fracture": np.array([[1, 0, UNKNOWN], [0, 0, 1]], np.float32)}

    found, predicted = mixed(fed, targets, 0.75)

    np.testing.assert_allclose(found, [np.full((2, 2), 0.25), np.full((2, 2), 0.75)])
    np.testing.assert_allclose(predicted["fracture"], [[0.75, 0, UNKNOWN], [0.25, 0, UNKNOWN]])
    assert found.dtype == predicted["fracture"].dtype == np.float32


def test_batches_are_mixed_where_they_shall_be() -> None:
    def overall(share: float) -> set[float]:
        given = batches(
            change=lambda recipe: replace(recipe, fit=replace(recipe.fit, batch=4), augmentation=replace(STILL, mixup_share=share))
        )
        return {float(one) for number in range(3) for one in given[number][1]["overall"].ravel()}

    assert overall(0.0) == {0.0, 1.0}
    assert not overall(1.0) <= {0.0, 1.0}


def test_a_coarser_scan_changes_the_picture_and_not_what_is_known_of_it() -> None:
    given = study(1, 2)
    voxels = Voxels((6.0, 4.0, 4.0), (0.5, 0.0, 0.25))

    (sharp, known), (dull, same) = (study_input(given, replace(unchanged(), voxels=one), RECIPE) for one in (None, voxels))

    np.testing.assert_array_equal(sharp[..., -1], dull[..., -1])
    for name, target in known.items():
        np.testing.assert_array_equal(target, same[name])
    assert dull[..., :-1].std() < 0.95 * sharp[..., :-1].std()
    assert dull[..., :-1].mean() == pytest.approx(sharp[..., :-1].mean(), rel=0.05)
