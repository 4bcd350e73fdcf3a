"""Batches of studies: which, how changed, and what they show; all follow from the seed, the epoch and the number of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL
from cspine.geometry import Vector
from cspine.imaging.vertebrae import STEPS, classified_slices, smooth_mask, vertebra_input
from cspine.specs import FRACTURE_CELL, MASK_STEP
from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, UNKNOWN, fracture_mask
from cspine.training.core.settings import AnnotationUse
from cspine.training.vertebrae.acquisition import sample_noise, streaks_in
from cspine.training.vertebrae.augmentation import StudyChange, sample_study_change, scanned
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import VertebraRecipe

Targets = dict[str, NDArray[np.float32]]

_FEWEST_PIXELS = 3
"""Fewer pixels of a mask on a fracture than these are none to be seen in a slice."""

_BROKEN_SHARE = 0.1
"""Smallest share of a cell on a fracture at which the cell counts as fractured."""


@dataclass(frozen=True, slots=True, eq=False)
class VertebraTargets:
    """Holds what slices of a vertebra show.

    Attributes:
        slices: 0, 1 or :data:`cspine.training.core.marks.UNKNOWN`, ``(slices,)``.
        cells: The same of each cell, ``(slices, rows / 8, columns / 8)``.
        missed: Whether it is fractured, and all of the fracture lies outside what is cut: its label is not what these slices show.
    """

    slices: NDArray[np.float32]
    cells: NDArray[np.float32]
    missed: bool = False


def fracture_targets(marks: NDArray[np.uint8], level: int, bit: int | None, *, broken: bool) -> VertebraTargets:
    """Returns what the slices of a vertebra show.

    Args:
        marks: Of the slices that are classified, ``(slices, rows / 2, columns / 2)``.
        level: The vertebra.
        bit: What marks its fracture: the bit of cracks, that of boxes on pixels of the vertebra, or ``None`` where that is not
            known.
        broken: Whether it is fractured; if not, no slice and no cell of it is.
    """
    side = FRACTURE_CELL // MASK_STEP
    count, rows, columns = marks.shape
    shape = (count, rows // side, side, columns // side, side)
    if not broken:
        return VertebraTargets(np.zeros(count, np.float32), np.zeros((count, shape[1], shape[3]), np.float32))
    if bit is None:
        return VertebraTargets(np.full(count, UNKNOWN, np.float32), np.full((count, shape[1], shape[3]), UNKNOWN, np.float32))
    marked = (marks & bit) > 0
    if bit == BOX_BIT:
        marked &= marks % BOX_BIT == level
    share = marked.reshape(shape).mean(axis=(2, 4))
    slices = marked.sum(axis=(1, 2)) >= _FEWEST_PIXELS
    return VertebraTargets(slices.astype(np.float32), (share >= _BROKEN_SHARE).astype(np.float32), missed=not marked.any())


def study_input(
    study: StudyCrops, change: StudyChange, recipe: VertebraRecipe, out: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], Targets]:
    """Returns the crops of a study as the network takes them, and what they show.

    Args:
        study: The study.
        change: What is done to it.
        recipe: What the network is trained with.
        out: Where the crops are put, if they have a place already: zeros.

    Returns:
        Crops ``(7, slices, rows, columns, channels)``, and targets by the name of the network's output.
    """
    fed = np.zeros(recipe.input.shape, np.float32) if out is None else out
    shown = study.there & change.shown
    parts: list[VertebraTargets | None] = [None] * len(CERVICAL)
    for i in np.flatnonzero(shown):
        parts[i] = _vertebra(study, int(i), change, recipe, fed[i])
    return fed, _targets(study, shown, parts, recipe)


def _vertebra(study: StudyCrops, i: int, change: StudyChange, recipe: VertebraRecipe, out: NDArray[np.float32]) -> VertebraTargets:
    """Puts a crop in its place, and says what it shows."""
    spec, spare = recipe.input, np.array(recipe.crops.spare)
    coarse = spare // (1, MASK_STEP, MASK_STEP)
    small = (spec.depth, spec.size[0] // MASK_STEP, spec.size[1] // MASK_STEP)
    grey = _part(study.grey[i], spare + change.shift[i] * (1, MASK_STEP, MASK_STEP), (spec.depth, *spec.size))
    marks = _part(study.marks[i], coarse + change.shift[i], small)
    mask = _part(study.marks[i], coarse + change.shift[i] + change.mask_shift[i], small) % BOX_BIT == i + 1
    if change.grown[i]:
        mask = (ndimage.binary_dilation if change.grown[i] > 0 else ndimage.binary_erosion)(mask)
    grey = _recoloured(scanned(grey, change.kernel, change.voxels, spec.spacing_mm), change, i, spec.spacing_mm)
    if change.mirrored:
        grey, marks, mask = grey[..., ::-1], marks[..., ::-1], mask[..., ::-1]
    chosen = classified_slices(study.heights_mm[i] * change.heights[i], spec, change.raised)
    vertebra_input(grey, smooth_mask(mask, spec), chosen, spec, out)
    return fracture_targets(marks[chosen], i + 1, fracture_bit(study, recipe), broken=bool(study.broken[i]))


def _part(array: NDArray[np.uint8], start: NDArray[np.intp], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.asarray(array[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))])


def fracture_bit(study: StudyCrops, recipe: VertebraRecipe) -> int | None:
    """Returns what marks the fractures of a study, if anything does."""
    if recipe.labels.fracture_masks is AnnotationUse.LABEL and fracture_mask(study.case) is not None:
        return FRACTURE_BIT
    return BOX_BIT if recipe.labels.boxes is AnnotationUse.LABEL and study.case.boxes else None


def _recoloured(grey: NDArray[np.uint8], change: StudyChange, i: int, spacing_mm: Vector) -> NDArray[np.uint8]:
    """Returns the image with other contrast and brightness, streaks and noise."""
    if change.gain != 1 or change.offset:
        steps = (np.arange(STEPS + 1) / STEPS - 0.5) * change.gain + 0.5 + change.offset
        grey = np.rint(np.clip(steps, 0, 1) * STEPS).astype(np.uint8)[grey]
    added: NDArray[np.float32] | None = None
    if change.streaks is not None and abs(i - change.streaks.level) <= 1:
        added = streaks_in(change.streaks, grey.shape, spacing_mm) * np.float32(STEPS)
    if change.noise > 0:
        noise = sample_noise(np.random.default_rng([change.seed, i]), grey.shape, change.grain_mm, spacing_mm)
        noise *= np.float32(change.noise * STEPS)
        added = noise if added is None else added + noise
    if added is None:
        return grey
    return np.clip(grey + added + np.float32(0.5), 0, STEPS).astype(np.uint8)  # whole numbers are cut off, which rounds


def _targets(study: StudyCrops, shown: NDArray[np.bool_], parts: list[VertebraTargets | None], recipe: VertebraRecipe) -> Targets:
    spec = recipe.input
    side = recipe.input.size[0] // FRACTURE_CELL, recipe.input.size[1] // FRACTURE_CELL
    slices = np.full((len(CERVICAL), spec.slices), UNKNOWN, np.float32)
    cells = np.full((len(CERVICAL), spec.slices, *side), UNKNOWN, np.float32)
    for i, part in enumerate(parts):
        if part is not None:
            slices[i], cells[i] = part.slices, part.cells
    seen = np.array([part is not None and not part.missed for part in parts])
    known, broken = shown & study.learnable & seen, study.broken
    fracture = np.where(known, broken, UNKNOWN).astype(np.float32)
    anything = (broken & known).any()
    unsure = (broken & shown & ~known).any()  # a fracture that may lie outside the picture
    overall = np.array([UNKNOWN if unsure and not anything else float(anything)], np.float32)
    return {"fracture": fracture, "overall": overall, "slices": slices, "fracture_map": cells}


class VertebraBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, studies: Sequence[StudyCrops], recipe: VertebraRecipe, fold: int, epoch: int, first: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=4)
        self._studies, self._recipe, self._fold = studies, recipe, fold
        self._epoch, self._first = epoch, first

    def __len__(self) -> int:
        return self._recipe.fit.batches - self._first

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Targets]:
        """Returns crops ``(n, 7, slices, rows, columns, channels)`` and what they show, by the name of the network's output."""
        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, self._fold, self._epoch, self._first + index])
        fed = np.zeros((recipe.fit.batch, *recipe.input.shape), np.float32)
        sampled = []
        for place in fed:
            study = self._studies[int(rng.integers(len(self._studies)))]
            sampled.append(study_input(study, sample_study_change(rng, recipe), recipe, place)[1])
        targets = {name: np.stack([target[name] for target in sampled]) for name in sampled[0]}
        if rng.random() < recipe.augmentation.mixup_share:
            return mixed(fed, targets, float(rng.beta(0.5, 0.5)))
        return fed, targets


def mixed(fed: NDArray[np.float32], targets: Targets, share: float) -> tuple[NDArray[np.float32], Targets]:
    """Returns each study mixed with the next of the batch; what is not known of either is not known."""
    found = {}
    for name, one in targets.items():
        other = np.roll(one, 1, axis=0)
        found[name] = np.where((one < 0) | (other < 0), np.float32(UNKNOWN), share * one + (1 - share) * other).astype(np.float32)
    return (share * fed + (1 - share) * np.roll(fed, 1, axis=0)).astype(np.float32), found
