"""Learning what a fracture looks like, before whole studies are classified: small parts of slices, half of them on a fracture.

A study has a hundred slices, of which few show a fracture, and that in few of their cells. Of parts around known fractures and
around whole bone a backbone learns many times faster.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.evaluation.metrics import auroc
from cspine.imaging.vertebrae import STEPS, smooth_mask
from cspine.specs import MASK_STEP
from cspine.training.core.loop import TrainingTask, Validation
from cspine.training.core.losses import KnownBinaryCrossentropy
from cspine.training.core.marks import BOX_BIT
from cspine.training.vertebrae.augmentation import Voxels, coarsened, sample_voxels
from cspine.training.vertebrae.batches import fracture_bit, fracture_targets
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import VertebraRecipe

_AT_ONCE = 50
_NOISY = 0.5
"""How often noise is added."""

_KEPT = 300
"""Places of a vertebra that are remembered, on its fracture and on the rest."""

Patches = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Parts ``(rows, columns, channels)`` with their cells ``(rows / 8, columns / 8)``."""


@dataclass(frozen=True, slots=True, eq=False)
class PatchCentres:
    """Says where patches may be cut.

    Attributes:
        studies: The studies.
        fractured: On known fractures: number of the study, level counted from 0, slice, row and column in pixels of masks,
            ``(k, 5)``.
        intact: On bone that is known to be intact, the same.
    """

    studies: Sequence[StudyCrops]
    fractured: NDArray[np.int32] = field(repr=False)
    intact: NDArray[np.int32] = field(repr=False)


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
    return PatchCentres(studies, np.concatenate(fractured), np.concatenate(intact))


class PatchBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, centres: PatchCentres, recipe: VertebraRecipe, fold: int, epoch: int, first: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=8)
        self._centres, self._recipe, self._fold, self._epoch, self._first = centres, recipe, fold, epoch, first

    def __len__(self) -> int:
        return self._recipe.patches.batches - self._first

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns patches ``(n, rows, columns, channels)`` and if their cells are fractured, ``(n, rows / 8, columns / 8, 1)``."""
        rng = np.random.default_rng([self._recipe.seed, self._fold, self._epoch, self._first + index, 1])
        sampled = [sample_patch(rng, self._centres, self._recipe) for _ in range(self._recipe.patches.batch)]
        return np.stack([fed for fed, _ in sampled]), np.stack([cells for _, cells in sampled])[..., None]


def sample_patch(
    rng: np.random.Generator, centres: PatchCentres, recipe: VertebraRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns a patch, augmented, ``(rows, columns, channels)``, and its cells ``(rows / 8, columns / 8)``."""
    settings = recipe.patches
    pool = centres.fractured if len(centres.fractured) and rng.random() < settings.fractured_share else centres.intact
    number, i, z, y, x = pool[int(rng.integers(len(pool)))]
    study = centres.studies[int(number)]
    off = rng.integers(-settings.shift_px // MASK_STEP, settings.shift_px // MASK_STEP + 1, 2)
    voxels = sample_voxels(rng, recipe.augmentation)
    fed, marks = _cut(study, int(i), np.array([z, y + off[0], x + off[1]]), recipe, voxels)
    bit = fracture_bit(study, recipe)
    broken = bool(study.broken[i])
    cells = fracture_targets(marks[None], int(i) + 1, bit, broken=broken).cells[0]
    picture = fed[..., :-1]
    low, high = recipe.input.window_hu
    augmentation = recipe.augmentation
    picture *= np.float32(1 + augmentation.gain * rng.uniform(-1, 1))
    picture += np.float32(augmentation.offset_hu / (high - low) * rng.uniform(-1, 1))
    if rng.random() < _NOISY:
        picture += np.float32(augmentation.noise_hu / (high - low) * rng.random()) * rng.standard_normal(
            picture.shape, dtype=np.float32
        )
    np.clip(picture, 0, 1, out=picture)
    if rng.random() < augmentation.flip_share:
        fed, cells = fed[:, ::-1], cells[:, ::-1]
    return fed, cells


def _cut(
    study: StudyCrops, i: int, middle: NDArray[np.integer], recipe: VertebraRecipe, voxels: Voxels | None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns a patch around a pixel of a mask, or as near to it as the crop allows, as some voxels show it, and its marks."""
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
    spare = 0 if voxels is None else int(np.ceil(2 * voxels.mm[0] / spec.spacing_mm[0]))
    start = max(first - spare, 0)
    rows, columns = (slice(MASK_STEP * low, MASK_STEP * (low + side)) for low, side in ((y, high), (x, wide)))
    slices = study.grey[i, start : last + spare, rows, columns]
    if voxels is not None:
        slices = coarsened(slices, voxels, spec.spacing_mm)
    slices = slices[first - start : last - start]
    np.divide(np.moveaxis(slices, 0, -1), np.float32(STEPS), out=fed[..., :-1])
    fed[..., -1] = mask.repeat(MASK_STEP, axis=0).repeat(MASK_STEP, axis=1) if spec.masked else 1.0
    return fed, around[z - low]


def fixed_patches(studies: Sequence[StudyCrops], recipe: VertebraRecipe) -> Patches:
    """Returns patches of studies, always the same: what the network is validated on."""
    centres = find_patch_centres(studies, recipe)
    if not len(centres.intact):
        return []
    return [
        sample_patch(np.random.default_rng([recipe.seed, number, 2]), centres, recipe) for number in range(recipe.patches.held_out)
    ]


def patch_task(recipe: VertebraRecipe, fold: int, centres: PatchCentres, held_out: Sequence[StudyCrops]) -> TrainingTask[Patches]:
    """Returns what a backbone learns from patches, and how it is validated."""
    return TrainingTask(
        build=lambda: recipe.network.build(recipe.input, recipe.seed * 100 + fold).on_slices(recipe.patches.size),
        batches=partial(PatchBatches, centres, recipe, fold),
        losses=KnownBinaryCrossentropy(),
        held_out=partial(fixed_patches, held_out, recipe),
        validate=_validate,
    )


def _validate(model: keras.Model, patches: Patches) -> Validation:
    if not patches:
        return Validation({"auroc_cells": math.nan, "auroc_patches": math.nan}, math.nan)
    parts = (np.stack([fed for fed, _ in patches[i : i + _AT_ONCE]]) for i in range(0, len(patches), _AT_ONCE))
    predicted = np.concatenate([np.asarray(model.predict_on_batch(part))[..., 0] for part in parts]).astype(np.float64)
    fractured = np.stack([cells for _, cells in patches]) > 0
    metrics = {
        "auroc_cells": auroc(fractured.ravel(), predicted.ravel()),
        "auroc_patches": auroc(np.asarray(fractured.any(axis=(1, 2))), predicted.max(axis=(1, 2))),
    }
    return Validation(metrics, metrics["auroc_patches"])
