"""Crops around vertebrae of necks, changed by chance, with coarse labels that are off."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL, Level
from cspine.imaging.crops import guided
from cspine.specs import RefinerSpec
from cspine.training.localiser.augmentation import apply_chance, draw_chance
from cspine.training.localiser.batches import Windows
from cspine.training.localiser.pool import PoolImage, read_pool_image
from cspine.training.refiner.guides import apply_guide, draw_guide
from cspine.training.refiner.settings import RefinerRecipe

_NOTHING, _THIS, _OTHER_BONE = range(3)
_LEAST_ML = 0.78
"""A vertebra of which a neck shows less is not asked for."""

_FIXED = 1 << 17
_CROPS = 2
"""Of each neck that epochs are judged on."""


def draw_sample(
    rng: np.random.Generator, necks: Sequence[Path], recipe: RefinerRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A crop of one of the necks as the network takes it, ``(z, y, x, 3)``, and what the loss takes, ``(z, y, x)``."""
    crop, classes = crop_of(rng, read_pool_image(necks[int(rng.integers(len(necks)))]), recipe)
    return crop, classes.astype(np.float32)


def crop_of(rng: np.random.Generator, image: PoolImage, recipe: RefinerRecipe) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A crop around a vertebra of a neck, and what its voxels are: nothing, this vertebra, other bone."""
    spec = recipe.input
    middles = _middles(image.classes, spec)
    level = Level(int(rng.choice(list(middles))))
    off = rng.normal(0, recipe.guide.off_mm, 3) / spec.spacing_mm
    shift = middles[level] - (np.array(image.hu.shape) - 1) / 2 + off
    chance = replace(draw_chance(rng, recipe.chance, spec, image.hu.shape), shift=shift)
    guide = draw_guide(rng, recipe.guide)
    picture, classes = apply_chance(chance, image, spec)
    return guided(picture, apply_guide(guide, classes, level, spec), level, spec), targets_of(classes, level)


def targets_of(classes: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """Nothing, this vertebra, or other bone."""
    return np.where(classes == level, _THIS, np.where(classes > 0, _OTHER_BONE, _NOTHING)).astype(np.uint8)


def fixed_crops(necks: Sequence[Path], recipe: RefinerRecipe) -> Windows:
    """Crops of each neck, always the same: what epochs are judged on."""
    images = [read_pool_image(path) for path in necks]
    return [
        crop_of(np.random.default_rng([recipe.pool.seed, _FIXED, number, turn]), image, recipe)
        for number, image in enumerate(images)
        for turn in range(_CROPS)
    ]


def _middles(classes: NDArray[np.uint8], spec: RefinerSpec) -> dict[Level, NDArray[np.float64]]:
    """The middle of the box of each of C1..C7 that a neck shows, in voxels."""
    sizes_ml = np.bincount(classes.ravel(), minlength=len(CERVICAL) + 1) * np.prod(spec.spacing_mm) / 1000
    boxes = ndimage.find_objects(classes, len(CERVICAL))
    return {
        level: np.array([(side.start + side.stop - 1) / 2 for side in boxes[level - 1]])
        for level in CERVICAL
        if sizes_ml[level] >= _LEAST_ML
    }
