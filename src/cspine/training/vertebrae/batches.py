"""Batches of studies: which, how changed, and what they show; all follow from the seed, the epoch and the number of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL
from cspine.imaging.vertebrae import STEPS, classified_slices, smooth_mask, vertebra_input
from cspine.specs import FRACTURE_CELL, MASK_STEP
from cspine.training.slices.labels import BOX_BIT, FRACTURE_BIT, UNKNOWN
from cspine.training.slices.settings import BoxUse, FractureMaskUse
from cspine.training.slices.stacks import fracture_mask
from cspine.training.vertebrae.coarse import Voxels, coarsened, draw_voxels
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import CropChance, VertebraRecipe
from cspine.training.vertebrae.targets import VertebraTargets, where_broken

Targets = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class StudyChance:
    """What is done to one study.

    Attributes:
        shift: By how many slices, rows and columns each crop is off, ``(7, 3)``; rows and columns in pixels of masks.
        mask_shift: The same of the mask against the picture, ``(7, 3)``.
        heights: Factors of heights, ``(7,)``.
        grown: By how many pixels each mask is grown, or shrunk, ``(7,)``.
        shown: Which levels are in the scan, ``(7,)``.
        mirrored: Whether left and right are exchanged.
        gain: Factor of contrast around the middle of the window.
        offset: Added brightness, in units of the window.
        noise: Standard deviation of added noise, in units of the window.
        voxels: Those of a coarser scan, if it is one.
        raised: By how many slices those that are judged lie nearer the head.
        seed: Of the noise.
    """

    shift: NDArray[np.intp]
    mask_shift: NDArray[np.intp]
    heights: NDArray[np.float64] = field(default_factory=lambda: np.ones(len(CERVICAL)))
    grown: NDArray[np.intp] = field(default_factory=lambda: np.zeros(len(CERVICAL), np.intp))
    shown: NDArray[np.bool_] = field(default_factory=lambda: np.ones(len(CERVICAL), bool))
    mirrored: bool = False
    gain: float = 1.0
    offset: float = 0.0
    noise: float = 0.0
    voxels: Voxels | None = None
    raised: int = 0
    seed: int = 0


def unchanged(raised: int = 0) -> StudyChance:
    """What is done to a study that is judged: nothing, but that its slices may be raised."""
    nowhere = np.zeros((len(CERVICAL), 3), np.intp)
    return StudyChance(nowhere, nowhere, raised=raised)


def draw_study_chance(rng: np.random.Generator, settings: CropChance, recipe: VertebraRecipe) -> StudyChance:
    """Draws what is done to one study."""
    levels, spare = len(CERVICAL), np.array(recipe.crops.spare) // (1, MASK_STEP, MASK_STEP)
    pixel = np.array(recipe.input.spacing_mm) * (1, MASK_STEP, MASK_STEP)
    shift, mask_shift = (
        np.rint(rng.normal(0, sd, (levels, 3)) / pixel).astype(np.intp) for sd in (settings.shift_mm, settings.mask_shift_mm)
    )
    shift = np.clip(shift, -spare, spare)
    shown = np.ones(levels, bool)
    if rng.random() < settings.hidden:
        first, last = np.sort(rng.integers(0, levels, 2))
        shown = (np.arange(levels) >= first) & (np.arange(levels) <= last)
    return StudyChance(
        shift=shift,
        mask_shift=np.clip(shift + mask_shift, -spare, spare) - shift,
        heights=np.clip(rng.normal(1, settings.height, levels), 0.7, 1.4),
        grown=np.where(rng.random(levels) < settings.mask_wrong, rng.choice((-1, 1), levels), 0),
        shown=shown,
        mirrored=bool(rng.random() < settings.flip),
        gain=float(1 + settings.gain * rng.uniform(-1, 1)),
        offset=float(settings.offset * rng.uniform(-1, 1)),
        noise=float(settings.noise * max(rng.uniform(-1, 1), 0)),
        voxels=draw_voxels(rng, settings),
        seed=int(rng.integers(1 << 31)),
    )


def study_input(
    study: StudyCrops, chance: StudyChance, recipe: VertebraRecipe, out: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], Targets]:
    """The crops of a study as the network takes them, and what they show.

    Args:
        study: The study.
        chance: What is done to it.
        recipe: What the network is trained with.
        out: Where the crops are put, if they have a place already: zeros.

    Returns:
        Crops ``(7, slices, rows, columns, channels)``, and targets by the name of the network's output.
    """
    fed = np.zeros(recipe.input.shape, np.float32) if out is None else out
    shown = study.there & chance.shown
    parts: list[VertebraTargets | None] = [None] * len(CERVICAL)
    for i in np.flatnonzero(shown):
        parts[i] = _vertebra(study, int(i), chance, recipe, fed[i])
    return fed, _targets(study, shown, parts, recipe)


def _vertebra(study: StudyCrops, i: int, chance: StudyChance, recipe: VertebraRecipe, out: NDArray[np.float32]) -> VertebraTargets:
    """Puts a crop in its place, and says what it shows."""
    spec, spare = recipe.input, np.array(recipe.crops.spare)
    coarse = spare // (1, MASK_STEP, MASK_STEP)
    small = (spec.depth, spec.size[0] // MASK_STEP, spec.size[1] // MASK_STEP)
    grey = _part(study.grey[i], spare + chance.shift[i] * (1, MASK_STEP, MASK_STEP), (spec.depth, *spec.size))
    marks = _part(study.marks[i], coarse + chance.shift[i], small)
    mask = _part(study.marks[i], coarse + chance.shift[i] + chance.mask_shift[i], small) % BOX_BIT == i + 1
    if chance.grown[i]:
        mask = (ndimage.binary_dilation if chance.grown[i] > 0 else ndimage.binary_erosion)(mask)
    grey = _recoloured(grey if chance.voxels is None else coarsened(grey, chance.voxels, spec.spacing_mm), chance, i)
    if chance.mirrored:
        grey, marks, mask = grey[..., ::-1], marks[..., ::-1], mask[..., ::-1]
    judged = classified_slices(study.heights_mm[i] * chance.heights[i], spec, chance.raised)
    vertebra_input(grey, smooth_mask(mask, spec), judged, spec, out)
    return where_broken(marks[judged], i + 1, fracture_bit(study, recipe), broken=bool(study.broken[i]))


def _part(array: NDArray[np.uint8], start: NDArray[np.intp], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.asarray(array[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))])


def fracture_bit(study: StudyCrops, recipe: VertebraRecipe) -> int | None:
    """What marks the fractures of a study, if anything does."""
    if recipe.labels.fracture_masks is FractureMaskUse.LABEL and fracture_mask(study.case) is not None:
        return FRACTURE_BIT
    return BOX_BIT if recipe.labels.boxes is BoxUse.LABEL and study.case.boxes else None


def _recoloured(grey: NDArray[np.uint8], chance: StudyChance, i: int) -> NDArray[np.uint8]:
    """The picture with other contrast, brightness and noise."""
    if chance.gain != 1 or chance.offset:
        steps = (np.arange(STEPS + 1) / STEPS - 0.5) * chance.gain + 0.5 + chance.offset
        grey = np.rint(np.clip(steps, 0, 1) * STEPS).astype(np.uint8)[grey]
    if chance.noise > 0:
        rng = np.random.default_rng([chance.seed, i])
        noise = rng.standard_normal(grey.shape, dtype=np.float32) * np.float32(chance.noise * STEPS)
        grey = np.clip(grey + noise + np.float32(0.5), 0, STEPS).astype(np.uint8)  # whole numbers are cut off, which rounds
    return grey


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
    unsure = (broken & shown & ~known).any()  # a break that may lie outside the picture
    overall = np.array([UNKNOWN if unsure and not anything else float(anything)], np.float32)
    return {"fracture": fracture, "overall": overall, "slices": slices, "fracture_map": cells}


class VertebraBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, studies: Sequence[StudyCrops], recipe: VertebraRecipe, fold: int, epoch: int, first: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=4)
        self._studies, self._recipe, self._fold = studies, recipe, fold
        self._epoch, self._first = epoch, first

    def __len__(self) -> int:
        return self._recipe.batches - self._first

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Targets]:
        """Crops ``(n, 7, slices, rows, columns, channels)`` and what they show, by the name of the network's output."""
        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, self._fold, self._epoch, self._first + index])
        fed = np.zeros((recipe.batch, *recipe.input.shape), np.float32)
        drawn = []
        for place in fed:
            study = self._studies[int(rng.integers(len(self._studies)))]
            drawn.append(study_input(study, draw_study_chance(rng, recipe.chance, recipe), recipe, place)[1])
        targets = {name: np.stack([target[name] for target in drawn]) for name in drawn[0]}
        if rng.random() < recipe.chance.mixup:
            return mixed(fed, targets, float(rng.beta(0.5, 0.5)))
        return fed, targets


def mixed(fed: NDArray[np.float32], targets: Targets, share: float) -> tuple[NDArray[np.float32], Targets]:
    """Each study mixed with the next of the batch; what is not known of either is not known."""
    found = {}
    for name, one in targets.items():
        other = np.roll(one, 1, axis=0)
        found[name] = np.where((one < 0) | (other < 0), np.float32(UNKNOWN), share * one + (1 - share) * other).astype(np.float32)
    return (share * fed + (1 - share) * np.roll(fed, 1, axis=0)).astype(np.float32), found
