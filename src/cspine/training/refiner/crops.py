"""Crops around vertebrae of synthetic necks, augmented, with coarse labels that are off; and the pool of these necks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.imaging.crops import guided
from cspine.phantoms import Neck
from cspine.specs import RefinerSpec
from cspine.training.core.marks import LabelledImage
from cspine.training.localiser.augmentation import apply_change, sample_change
from cspine.training.localiser.pool import PoolPart, Windows, image_of, pool_rng, read_pool_image, sample_pool_neck
from cspine.training.refiner.guides import apply_guide, sample_guide
from cspine.training.refiner.settings import RefinerRecipe, StripSettings

_NOTHING, _THIS, _OTHER_BONE = range(3)
_BEHIND_MM = 18.0
"""How far behind the middle of the bodies the middle of the vertebrae lies."""

_LEAST_ML = 0.78
"""A vertebra of which a neck shows less is not segmented."""

_FIXED = 1 << 17
_CROPS = 2
"""Of each neck that the network is validated on."""


def sample_training_crop(
    rng: np.random.Generator, necks: Sequence[Path], recipe: RefinerRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns a crop of one of the necks as the network takes it, ``(z, y, x, 3)``, and what the loss takes, ``(z, y, x)``."""
    crop, classes = crop_of(rng, read_pool_image(necks[int(rng.integers(len(necks)))]), recipe)
    return crop, classes.astype(np.float32)


def crop_of(rng: np.random.Generator, image: LabelledImage, recipe: RefinerRecipe) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns a crop around a vertebra of a neck, and what its voxels are: nothing, this vertebra, other bone."""
    spec = recipe.input
    middles = _middles(image.classes, spec)
    level = Level(int(rng.choice(list(middles))))
    off = rng.normal(0, recipe.guide.crop_shift_mm, 3) / spec.spacing_mm
    shift = middles[level] - (np.array(image.hu.shape) - 1) / 2 + off
    change = replace(sample_change(rng, recipe.augmentation, spec, image.hu.shape), shift=shift)
    guide = sample_guide(rng, recipe.guide)
    picture, classes = apply_change(change, image, spec)
    return guided(picture, apply_guide(guide, classes, level, spec), level, spec), targets_of(classes, level)


def targets_of(classes: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """Returns nothing, this vertebra, or other bone."""
    return np.where(classes == level, _THIS, np.where(classes > 0, _OTHER_BONE, _NOTHING)).astype(np.uint8)


def fixed_crops(necks: Sequence[Path], recipe: RefinerRecipe) -> Windows:
    """Returns crops of each neck, always the same: what the network is validated on."""
    images = [read_pool_image(path) for path in necks]
    return [
        crop_of(np.random.default_rng([recipe.pool.seed, _FIXED, number, turn]), image, recipe)
        for number, image in enumerate(images)
        for turn in range(_CROPS)
    ]


def _middles(classes: NDArray[np.uint8], spec: RefinerSpec) -> dict[Level, NDArray[np.float64]]:
    """Returns the middle of the box of each of C1..C7 that a neck shows, in voxels."""
    sizes_ml = np.bincount(classes.ravel(), minlength=len(CERVICAL) + 1) * np.prod(spec.spacing_mm) / 1000
    boxes = ndimage.find_objects(classes, len(CERVICAL))
    return {
        level: np.array([(side.start + side.stop - 1) / 2 for side in boxes[level - 1]])
        for level in CERVICAL
        if sizes_ml[level] >= _LEAST_ML
    }


def sample_strip(settings: StripSettings, spec: RefinerSpec, part: PoolPart, number: int) -> LabelledImage:
    """Returns one spine of a pool, the same for the same settings and number."""
    neck = sample_pool_neck(pool_rng(settings.seed, part, number), part, settings.beyond_life, settings.wide)
    return image_of(neck, strip_grid(neck, settings, spec))


def strip_grid(neck: Neck, settings: StripSettings, spec: RefinerSpec) -> Grid:
    """Returns a box around C1..C7."""
    centres = np.array([neck.centres_mm[f"C{number}"] for number in range(1, 8)])
    middle = (centres.min(axis=0) + centres.max(axis=0)) / 2 + (0, _BEHIND_MM, 0)
    return Grid.upright(middle, settings.size, spec.spacing_mm)
