"""Patches of crops: where they may be cut in vertebrae, and how one is cut and augmented (:mod:`cspine.training.core.patches`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.imaging.vertebrae import STEPS, smooth_mask
from cspine.specs import MASK_STEP
from cspine.training.core.loop import TrainingTask
from cspine.training.core.marks import BOX_BIT
from cspine.training.core.patches import Patch, PatchOrder, PatchTask
from cspine.training.vertebrae.acquisition import sample_grain, sample_kernel, sample_noise, sample_streaks, streaks_in
from cspine.training.vertebrae.augmentation import sample_voxels, scanned
from cspine.training.vertebrae.batches import fracture_bit, fracture_targets
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import VertebraRecipe

_NOISY = 0.5
"""How often noise is added."""

_KEPT = 300
"""Places of a vertebra that are remembered, on its fracture and on the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class PatchCentres:
    """A :class:`cspine.training.core.patches.PatchSource` of crops.

    Attributes:
        studies: The studies.
        recipe: What the network sees, and how patches are cut and augmented.
        fractured: On known fractures: number of the study, level counted from 0, slice, row and column in pixels of masks,
            ``(k, 5)``.
        intact: On bone that is known to be intact, the same.
    """

    studies: Sequence[StudyCrops]
    recipe: VertebraRecipe
    fractured: NDArray[np.int32] = field(repr=False)
    intact: NDArray[np.int32] = field(repr=False)

    def cut(self, rng: np.random.Generator, centre: NDArray[np.int32]) -> Patch:
        """See :class:`cspine.training.core.patches.PatchSource`."""
        return _augmented(rng, self, centre)


def find_patch_centres(studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> PatchCentres:
    """Returns where patches may be cut in studies, the same for the same recipe."""
    rng = np.random.default_rng(recipe.seed)
    fractured, intact = [np.empty((0, 5), np.int32)], [np.empty((0, 5), np.int32)]
    for number, study in enumerate(studies):
        bit = fracture_bit(study, recipe)
        for i in np.flatnonzero(study.there & study.learnable):
            is_broken = bool(study.broken[i])
            if is_broken and bit is None:
                continue
            marks = np.asarray(study.marks[i])
            own = marks % BOX_BIT == i + 1
            on_fracture = own & ((marks & (bit or 0)) > 0) if is_broken else np.zeros_like(own)
            for found, centres in ((on_fracture, fractured), (own & ~on_fracture, intact)):
                index = np.argwhere(found)
                chosen = index[rng.permutation(len(index))[:_KEPT]]
                centres.append(np.column_stack([np.tile([number, i], (len(chosen), 1)), chosen]).astype(np.int32))
    return PatchCentres(studies, recipe, np.concatenate(fractured), np.concatenate(intact))


def _augmented(rng: np.random.Generator, centres: PatchCentres, centre: NDArray[np.int32]) -> Patch:
    recipe, settings = centres.recipe, centres.recipe.patches
    number, i, z, y, x = centre
    study = centres.studies[int(number)]
    off = rng.integers(-settings.shift_px // MASK_STEP, settings.shift_px // MASK_STEP + 1, 2)
    voxels = sample_voxels(rng, recipe.augmentation)
    scan = partial(scanned, kernel=sample_kernel(rng, recipe.augmentation), voxels=voxels, spacing_mm=recipe.input.spacing_mm)
    reach = 0 if voxels is None else int(np.ceil(2 * voxels.mm[0] / recipe.input.spacing_mm[0]))
    fed, marks = _cut(study, int(i), np.array([z, y + off[0], x + off[1]]), recipe, _Scan(scan, reach))
    bit = fracture_bit(study, recipe)
    broken = bool(study.broken[i])
    cells = fracture_targets(marks[None], int(i) + 1, bit, broken=broken).cells[0]
    picture = fed[..., :-1]
    _recolour(rng, picture, recipe)
    if rng.random() < recipe.augmentation.flip_share:
        fed, cells = fed[:, ::-1], cells[:, ::-1]
    return fed, cells


def _recolour(rng: np.random.Generator, picture: NDArray[np.float32], recipe: VertebraRecipe) -> None:
    """Gives a patch ``(rows, columns, slices)`` other contrast and brightness, streaks and noise."""
    low, high = recipe.input.window_hu
    augmentation, spacing = recipe.augmentation, recipe.input.spacing_mm
    picture *= np.float32(1 + augmentation.gain * rng.uniform(-1, 1))
    picture += np.float32(augmentation.offset_hu / (high - low) * rng.uniform(-1, 1))
    if (streaks := sample_streaks(rng, augmentation, recipe.input.window_hu)) is not None:
        slices = np.moveaxis(picture, -1, 0)
        slices += streaks_in(streaks, slices.shape, spacing)
    if rng.random() < _NOISY:
        strength = np.float32(augmentation.noise_hu / (high - low) * rng.random())
        grain = sample_grain(rng, augmentation)
        picture += strength * sample_noise(rng, picture.shape, (*grain[1:], grain[0]), (*spacing[1:], spacing[0]))
    np.clip(picture, 0, 1, out=picture)


@dataclass(frozen=True, slots=True)
class _Scan:
    """Describes how another scan shows slices.

    Attributes:
        show: Takes slices ``(slices, rows, columns)`` and returns what it shows in their place.
        reach: Slices above and below on which what is shown depends.
    """

    show: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    reach: int


def _cut(
    study: StudyCrops, i: int, middle: NDArray[np.integer], recipe: VertebraRecipe, scan: _Scan
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns a patch around a pixel of a mask, or as near to it as the crop allows, as a scan shows it, and its marks."""
    spec, settings = recipe.input, recipe.patches
    depth, *most = study.marks.shape[1:]
    high, wide = settings.size[0] // MASK_STEP, settings.size[1] // MASK_STEP
    reach = int(np.ceil(2.5 * spec.mask_blur_mm / spec.spacing_mm[0]))
    z = int(np.clip(middle[0], spec.neighbours, depth - 1 - spec.neighbours))
    y, x = (int(np.clip(m - side // 2, 0, end - side)) for m, side, end in zip(middle[1:], (high, wide), most, strict=True))
    low = max(z - reach, 0)
    around = np.asarray(study.marks[i, low : z + reach + 1, y : y + high, x : x + wide])
    mask = smooth_mask(around % BOX_BIT == i + 1, spec)[z - low]
    fed = np.empty((*settings.size, spec.channels), np.float32)
    first, last = z - spec.neighbours, z + spec.neighbours + 1
    start = max(first - scan.reach, 0)
    rows, columns = (slice(MASK_STEP * low, MASK_STEP * (low + side)) for low, side in ((y, high), (x, wide)))
    slices = scan.show(study.grey[i, start : last + scan.reach, rows, columns])[first - start : last - start]
    np.divide(np.moveaxis(slices, 0, -1), np.float32(STEPS), out=fed[..., :-1])
    fed[..., -1] = mask.repeat(MASK_STEP, axis=0).repeat(MASK_STEP, axis=1) if spec.masked else 1.0
    return fed, around[z - low]


def patch_task(
    recipe: VertebraRecipe, fold: int, centres: PatchCentres, held_out: Sequence[StudyCrops], home: Path
) -> TrainingTask[Any]:
    """Returns what a backbone learns from patches, and how it is validated.

    Args:
        recipe: What is trained.
        fold: Number of the fold.
        centres: Where patches of the training set may be cut.
        held_out: The studies of held-out patients.
        home: Where hard negatives are kept.
    """
    return PatchTask(
        build=lambda: recipe.network.build(recipe.input, recipe.seed * 100 + fold).on_slices(recipe.patches.size),
        source=centres,
        held_out=partial(find_patch_centres, held_out, recipe),
        settings=recipe.patches,
        order=PatchOrder(recipe.seed, fold, recipe.fit.workers),
        home=home,
    ).as_training_task()
