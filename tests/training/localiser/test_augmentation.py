from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.imaging.windowing import windowed
from cspine.specs import VolumeSpec
from cspine.training.core.marks import LabelledImage
from cspine.training.localiser.augmentation import VolumeChange, apply_change, sample_change
from cspine.training.localiser.settings import VolumeAugmentation

SPEC = VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(24, 32, 32), window_hu=(-300.0, 1300.0))
ROOM = (32, 40, 40)
CALM = VolumeAugmentation(
    turn_deg=0, scale=0, shear=0, elastic_mm=0, truncation_share=0, random_hu_share=0, noise_hu=0, streak_share=0, empty_share=0
)


def neck() -> LabelledImage:
    """Returns a block of each class, brighter the higher the class, in soft tissue."""
    classes = np.zeros(ROOM, np.uint8)
    for label in range(1, 10):
        classes[3 * label : 3 * label + 3, 12:28, 14:26] = label
    return LabelledImage(np.where(classes > 0, 300 + 50 * classes.astype(int), 40).astype(np.int16), classes)


def sampled(settings: VolumeAugmentation, seed: int = 0) -> VolumeChange:
    return sample_change(np.random.default_rng(seed), settings, SPEC, ROOM)


def plain(**changes: Any) -> VolumeChange:
    """Returns settings that do nothing but what a test asks for."""
    quiet: dict[str, Any] = {"shift": np.zeros(3), "tones_hu": KNOTS, "thickness_mm": 0.0, "blur": 0.0, "mirrored": False}
    return replace(sampled(CALM), **(quiet | changes))


KNOTS = np.array([-1000.0, -300.0, -120.0, -20.0, 60.0, 160.0, 350.0, 700.0, 1200.0, 2000.0, 4000.0])


def window(change: VolumeChange) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    return apply_change(change, neck(), SPEC)


def test_without_a_change_a_window_is_the_middle_of_the_neck() -> None:
    image, classes = window(plain())

    middle = np.s_[4:28, 4:36, 4:36]
    np.testing.assert_array_equal(classes, neck().classes[middle])
    np.testing.assert_allclose(image, windowed(neck().hu[middle].astype(np.float32), SPEC.window_hu), atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_image_and_classes_are_moved_together(seed: int) -> None:
    settings = replace(CALM, turn_deg=15, scale=0.1, shear=0.05, elastic_mm=2)
    change = replace(sampled(settings, seed), tones_hu=KNOTS, thickness_mm=0.0, blur=0.0)

    image, classes = window(change)

    inner = [np.median(image[classes == label]) for label in range(1, 10) if np.count_nonzero(classes == label) > 50]
    assert len(inner) >= 5
    assert (np.diff(inner) > 0).all()
    assert np.median(image[classes == 0]) < inner[0]


def test_a_picture_that_ends_shows_nothing_beyond_and_labels_nothing_there() -> None:
    keep = np.array([[0.25, 1.0], [0.0, 0.75], [0.0, 1.0]])

    image, classes = window(plain(keep=keep, outside_hu=-1000.0))

    assert (classes[:6] == 0).all()
    assert (classes[:, 24:] == 0).all()
    assert (image[:6] == 0).all()
    assert (classes[6:, :24] > 0).any()


def test_the_same_seed_gives_the_same_window_and_another_another() -> None:
    settings = VolumeAugmentation()

    one, again, other = (window(sampled(settings, seed))[0] for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_every_window_is_finite_and_within_what_a_network_takes() -> None:
    for seed in range(30):
        image, classes = window(sampled(VolumeAugmentation(empty_share=0.3, streak_share=0.5), seed))

        assert image.shape == classes.shape == SPEC.size
        assert np.isfinite(image).all()
        assert 0 <= image.min() <= image.max() <= 1
        assert classes.max() <= 9


def test_shapes_that_are_no_neck_have_no_vertebra() -> None:
    _, classes = window(plain(empty=True))

    assert set(np.unique(classes)) <= {0, 9}


def test_random_densities_keep_classes_and_change_the_picture() -> None:
    tones = np.concatenate([[-1000.0], np.random.default_rng(0).uniform(-400, 1400, 10)])

    image, classes = window(plain(tones_hu=tones))

    np.testing.assert_array_equal(classes, window(plain())[1])
    assert (image != window(plain())[0]).any()


def test_left_and_right_change_places_together() -> None:
    image, classes = window(plain(mirrored=True, shift=np.array([0.0, 0.0, 3.0])))
    straight, known = window(plain(shift=np.array([0.0, 0.0, 3.0])))

    np.testing.assert_array_equal(classes, known[..., ::-1])
    np.testing.assert_allclose(image, straight[..., ::-1], atol=1e-6)


def test_coarse_pixels_blur_slices_and_leave_the_way_across_them() -> None:
    fine, coarse = (apply_change(plain(thick_axis=0, pixel_mm=size), neck(), SPEC)[0] for size in (0.0, 5.0))

    across, within = (np.abs(np.diff(coarse, axis=axis)).max() / np.abs(np.diff(fine, axis=axis)).max() for axis in (0, 2))
    assert across > 0.9
    assert within < 0.6


def test_as_many_windows_have_coarse_pixels_as_settings_say() -> None:
    sizes = [sampled(replace(CALM, coarse_share=0.3), seed).pixel_mm for seed in range(200)]

    assert 0.2 < np.mean(np.array(sizes) > 0) < 0.4
    assert all(2 <= size <= 5 for size in sizes if size)
    assert sampled(CALM).pixel_mm == 0
