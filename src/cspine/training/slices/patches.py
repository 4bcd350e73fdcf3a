"""Patches of slices: where they may be cut in studies, and how one is cut and augmented (:mod:`cspine.training.core.patches`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.networks.options import CELL
from cspine.training.core.loop import TrainingTask
from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, UNKNOWN
from cspine.training.core.patches import Patch, PatchOrder, PatchTask
from cspine.training.core.settings import AnnotationUse
from cspine.training.slices.augmentation import apply_change, sample_change
from cspine.training.slices.batches import TrainingStudy
from cspine.training.slices.settings import SliceRecipe

_KEPT = 600
"""Places of a level of a study that are remembered, on its fracture and on the rest."""

_FRACTURED_SHARE = 0.1
"""Share of a cell on a fracture from which on it is fractured."""


@dataclass(frozen=True, slots=True, eq=False)
class SlicePatches:
    """A :class:`cspine.training.core.patches.PatchSource` of slices.

    Attributes:
        studies: The studies.
        recipe: What the network sees, and how patches are cut and augmented.
        fractured: On known fractures: number of the study, slice, row and column, ``(k, 4)``.
        intact: On bone that is known to be intact, the same.
    """

    studies: Sequence[TrainingStudy]
    recipe: SliceRecipe
    fractured: NDArray[np.int32] = field(repr=False)
    intact: NDArray[np.int32] = field(repr=False)

    def cut(self, rng: np.random.Generator, centre: NDArray[np.int32]) -> Patch:
        """See :class:`cspine.training.core.patches.PatchSource`."""
        recipe, (study_number, number, row, column) = self.recipe, (int(part) for part in centre)
        study, settings = self.studies[study_number], recipe.patches
        off = rng.integers(-settings.shift_px, settings.shift_px + 1, 2)
        change = replace(sample_change(rng, recipe.augmentation, recipe.input), shift_px=(float(off[0]), float(off[1])))
        image = study.stack.input(recipe.input, number, number + 1)[0]
        image, marks = apply_change(image, study.stack.marks[number], change, settings.size, (row, column))
        return image, patch_cells(study, marks, recipe)


def find_slice_patches(studies: Sequence[TrainingStudy], recipe: SliceRecipe) -> SlicePatches:
    """Returns where patches may be cut in studies, the same for the same recipe."""
    rng = np.random.default_rng(recipe.seed)
    fractured, intact = [np.empty((0, 4), np.int32)], [np.empty((0, 4), np.int32)]
    for number, study in enumerate(studies):
        if study.stack.case.mask is None:
            continue
        marks = np.array(study.stack.marks)
        marks[study.held_back] = 0
        levels, bit = marks % BOX_BIT, fracture_bit_of(study, recipe)
        for level, is_broken in zip(CERVICAL, study.stack.case.fractured or (), strict=True):
            if is_broken and bit is None:
                continue
            own = levels == level
            on_fracture = own & ((marks & (bit or 0)) > 0) if is_broken else np.zeros_like(own)
            for found, centres in ((on_fracture, fractured), (own & ~on_fracture, intact)):
                index = np.flatnonzero(found)
                chosen = np.unravel_index(rng.permutation(index)[:_KEPT], found.shape)
                centres.append(np.column_stack([np.full(len(chosen[0]), number), *chosen]).astype(np.int32))
    return SlicePatches(studies, recipe, np.concatenate(fractured), np.concatenate(intact))


def fracture_bit_of(study: TrainingStudy, recipe: SliceRecipe) -> int | None:
    """Returns what marks the fractures of a study, if anything does."""
    if recipe.labels.fracture_masks is AnnotationUse.LABEL and study.fracture_mask_known:
        return FRACTURE_BIT
    return BOX_BIT if recipe.labels.boxes is AnnotationUse.LABEL and study.stack.case.boxes else None


def patch_cells(study: TrainingStudy, marks: NDArray[np.uint8], recipe: SliceRecipe) -> NDArray[np.float32]:
    """Returns which cells of a patch are fractured, 0 or 1, or below 0 where that is not known, ``(rows / 8, columns / 8)``.

    Args:
        study: The study.
        marks: Of the patch, ``(rows, columns)``.
        recipe: What is known of fractures.
    """
    broken = np.array([False, *(study.stack.case.fractured or ())])
    levels: NDArray[np.uint8] = marks % BOX_BIT
    of_broken = (levels < len(broken)) & broken[np.minimum(levels, len(broken) - 1)]
    bit = fracture_bit_of(study, recipe)
    if bit is None:
        return np.where(_share(of_broken) > 0, np.float32(UNKNOWN), np.float32(0))
    return (_share(of_broken & ((marks & bit) > 0)) >= _FRACTURED_SHARE).astype(np.float32)


def _share(marked: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = (n // CELL for n in marked.shape)
    return np.asarray(marked.reshape(rows, CELL, columns, CELL).mean(axis=(1, 3), dtype=np.float32))


@dataclass(frozen=True, slots=True)
class PatchPlace:
    """Says which patients are held out, and where the patch part of training writes."""

    fold: int
    home: Path


def slice_patch_task(
    recipe: SliceRecipe, training_set: SlicePatches, held_out: Sequence[TrainingStudy], place: PatchPlace
) -> TrainingTask[Any]:
    """Returns what the cells of a slice network learn from patches, and how that is validated."""
    spec = replace(recipe.input, size=recipe.patches.size)
    task = PatchTask(
        build=lambda: recipe.network.build(spec, seed=recipe.seed * 100 + place.fold).on_patches(),
        source=training_set,
        held_out=partial(find_slice_patches, held_out, recipe),
        settings=recipe.patches,
        order=PatchOrder(recipe.seed, place.fold, recipe.fit.workers),
        home=place.home,
    ).as_training_task()
    return replace(task, pretrain=recipe.network.pretrain)
