from dataclasses import fields, replace

import numpy as np
import pytest

from cspine.training.slices.augmentation import Change, apply_change, sample_change
from cspine.training.slices.settings import SliceAugmentation
from tests.training.synthetic import SPEC

NONE = SliceAugmentation(**{item.name: 0.0 for item in fields(SliceAugmentation)})


def image_and_marks() -> tuple[np.ndarray, np.ndarray]:
    image = np.full((32, 32, 3), 0.2, dtype=np.float32)
    marks = np.zeros((32, 32), dtype=np.uint8)
    image[4:9, 20:28], marks[4:9, 20:28] = 0.9, 3
    return image, marks


@pytest.mark.parametrize(
    "change",
    [
        Change(shift_px=(3.0, -5.0)),
        Change(angle_rad=0.5, scale=1.2),
        Change(mirrored=True),
        Change(angle_rad=-0.3, scale=0.8, shift_px=(2.0, 2.0), mirrored=True),
    ],
)
def test_marks_go_where_the_image_goes(change: Change) -> None:
    image, marks = apply_change(*image_and_marks(), change)

    assert np.mean((image[..., 1] > 0.55) == (marks == 3)) > 0.98
    assert marks.any()
    assert not np.array_equal(marks, image_and_marks()[1])


def test_a_shift_moves_by_whole_pixels_and_a_mirror_swaps_left_and_right() -> None:
    image, marks = image_and_marks()

    np.testing.assert_array_equal(apply_change(image, marks, Change(shift_px=(2.0, 1.0)))[1][6:11, 21:29], marks[4:9, 20:28])
    np.testing.assert_allclose(apply_change(image, marks, Change(mirrored=True))[0], image[:, ::-1], atol=1e-6)


def test_nothing_is_changed_where_nothing_is_allowed() -> None:
    image, marks = image_and_marks()

    after = apply_change(image, marks, sample_change(np.random.default_rng(0), NONE, SPEC))

    np.testing.assert_allclose(after[0], image, atol=1e-6)
    np.testing.assert_array_equal(after[1], marks)


def test_the_same_seed_samples_the_same_change_and_noise() -> None:
    settings = SliceAugmentation()
    one, other = (sample_change(np.random.default_rng(7), settings, SPEC) for _ in range(2))

    np.testing.assert_array_equal(apply_change(*image_and_marks(), one)[0], apply_change(*image_and_marks(), other)[0])


def test_shifts_are_told_in_millimetres() -> None:
    settings = replace(NONE, shift_mm=10.0)

    shifts = [sample_change(np.random.default_rng(i), settings, SPEC).shift_px for i in range(200)]

    assert 4.5 < np.abs(shifts).max() <= 10 / SPEC.spacing_mm[1]


def test_a_part_is_cut_around_what_is_marked_without_a_change_of_its_pixels() -> None:
    image, marks = image_and_marks()
    image += np.random.default_rng(0).random(image.shape, dtype=np.float32) * 0.1

    part, marked = apply_change(image, marks, Change(), crop=(8, 12))

    assert part.shape == (8, 12, 3)
    assert (marked == 3).sum() == 5 * 8
    np.testing.assert_allclose(part[marked == 3], image[marks == 3], atol=1e-6)


def test_a_slice_that_is_not_warped_stays_as_sharp_as_it_was() -> None:
    settings = replace(NONE, shift_mm=10.0, turn_deg=20.0, scale=0.2, flip_share=0.5, warp_share=0.0)
    image = np.random.default_rng(0).random((32, 32, 1), dtype=np.float32)

    moved, _ = apply_change(image, np.zeros((32, 32), dtype=np.uint8), sample_change(np.random.default_rng(3), settings, SPEC))

    assert np.abs(moved.reshape(-1, 1) - image.reshape(1, -1)).min(axis=1).max() < 1e-6
    assert not np.allclose(moved, image)
