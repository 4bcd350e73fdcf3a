from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import UsageError
from cspine.training.core.marks import LabelledImage
from cspine.training.localiser.pool import PoolPart, fill_pool
from cspine.training.refiner.crops import crop_of, fixed_crops, sample_strip, sample_training_crop, targets_of
from cspine.training.refiner.settings import GuideSettings, StripSettings
from tests.training.refiner.small import RECIPE, SPEC


@pytest.fixture(scope="module")
def strip() -> LabelledImage:
    return sample_strip(RECIPE.pool, SPEC, PoolPart.TRAIN, 0)


def test_a_strip_follows_from_settings_and_number_alone_and_holds_the_whole_neck(strip: LabelledImage) -> None:
    again, other, bent = (
        sample_strip(RECIPE.pool, SPEC, part, n) for part, n in ((PoolPart.TRAIN, 0), (PoolPart.TRAIN, 1), (PoolPart.VALIDATE, 0))
    )

    np.testing.assert_array_equal(strip.hu, again.hu)
    assert (strip.hu != other.hu).any()
    assert (strip.hu != bent.hu).any()
    for image in (strip, other, bent):
        assert set(range(1, 8)) <= set(np.unique(image.classes))
        edge = np.concatenate([image.classes[:, side].ravel() for side in (0, -1)])
        assert not np.isin(edge, range(1, 8)).any()


def test_a_crop_shows_a_vertebra_and_where_it_roughly_lies(strip: LabelledImage) -> None:
    for seed in range(8):
        crop, classes = crop_of(np.random.default_rng(seed), strip, RECIPE)

        assert crop.shape == (*SPEC.size, 3)
        assert 0 <= crop.min() <= crop.max() <= 1
        assert set(np.unique(classes)) <= {0, 1, 2}
        if (classes == 1).sum() > 30:
            assert crop[..., 1][classes == 1].mean() > crop[..., 1][classes != 1].mean()


def test_the_same_seed_gives_the_same_crop(strip: LabelledImage) -> None:
    (one, classes), (again, _), (other, _) = (crop_of(np.random.default_rng(seed), strip, RECIPE) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert classes.dtype == np.uint8


def test_a_crop_lies_around_its_vertebra_as_nearly_as_settings_say(strip: LabelledImage) -> None:
    still = replace(RECIPE.augmentation, turn_deg=0, scale=0, shear=0, elastic_mm=0, truncation_share=0)
    exact = replace(RECIPE, augmentation=still, guide=GuideSettings(crop_shift_mm=0.0))

    for seed in range(5):
        _, classes = crop_of(np.random.default_rng(seed), strip, exact)
        index = np.argwhere(classes == 1)
        middle = (index.min(axis=0) + index.max(axis=0)) / 2
        np.testing.assert_allclose(middle, (np.array(SPEC.size) - 1) / 2, atol=1.01)


def test_targets_part_this_vertebra_from_all_other_bone() -> None:
    np.testing.assert_array_equal(targets_of(np.array([0, 3, 4, 5, 8, 9], np.uint8), 4), [0, 2, 1, 2, 2, 2])


def test_the_network_is_validated_on_the_same_crops_each_time(tmp_path: Path) -> None:
    counts = {PoolPart.TRAIN: 1, PoolPart.VALIDATE: 2}
    paths = fill_pool(tmp_path, partial(sample_strip, RECIPE.pool, SPEC), counts, 1, lambda _: None)

    one, again = (fixed_crops(paths[PoolPart.VALIDATE], RECIPE) for _ in range(2))

    assert len(one) == 4
    for (crop, classes), (same, alike) in zip(one, again, strict=True):
        np.testing.assert_array_equal(crop, same)
        np.testing.assert_array_equal(classes, alike)
    fed, targets = sample_training_crop(np.random.default_rng(0), paths[PoolPart.TRAIN], RECIPE)
    assert (fed.shape, targets.shape) == ((*SPEC.size, 3), SPEC.size)
    assert targets.dtype == np.dtype(np.float32)


@pytest.mark.parametrize("wrong", [{"necks": 0}, {"held_out": 0}, {"beyond_life": 1.5}, {"wide": -0.1}, {"size": (0, 4, 4)}])
def test_a_pool_of_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(
        UsageError, match=rf"pool\.{next(iter(wrong))} must be (1 or more|0 or more and 1 or less|numbers, each 1 or more)\."
    ):
        StripSettings(**wrong)  # type: ignore[arg-type]
