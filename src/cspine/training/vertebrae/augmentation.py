"""Augments the crops of a study at random, also as a coarser scan shows them: parameters are sampled first, then applied."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.geometry import Vector
from cspine.specs import MASK_STEP
from cspine.training.vertebrae.acquisition import (
    CropKernel,
    CropStreaks,
    reconstructed,
    sample_grain,
    sample_kernel,
    sample_streaks,
)
from cspine.training.vertebrae.settings import CropAugmentation, VertebraRecipe

_ACROSS = 0.7
"""How often slices lie across the spine; else they lie along it, from side to side or from front to back."""

_PHASES = 8
"""Voxels begin at one of so many places, so that few tables are made."""


@dataclass(frozen=True, slots=True)
class Voxels:
    """The voxels of a coarser scan.

    Attributes:
        mm: Their sides along slices, rows and columns of a crop; as fine as the crop, where smaller.
        phase: Where the first begins, in parts of its side, 0..1.
    """

    mm: tuple[float, float, float]
    phase: tuple[float, float, float]


def sample_voxels(rng: np.random.Generator, settings: CropAugmentation) -> Voxels | None:
    """Samples the voxels of a coarser scan; ``None`` where the scan stays as it is."""
    if rng.random() >= settings.coarse_share:
        return None
    thickest, largest = settings.coarse_mm
    slices, pixels = rng.uniform(0, thickest), rng.uniform(0, largest)
    thick = 0 if rng.random() < _ACROSS else int(rng.integers(1, 3))
    mm = [slices if axis == thick else pixels for axis in range(3)]
    phase = rng.integers(0, _PHASES, 3) / _PHASES
    return Voxels((mm[0], mm[1], mm[2]), (float(phase[0]), float(phase[1]), float(phase[2])))


def coarsened(grey: NDArray[np.uint8], voxels: Voxels, spacing_mm: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Returns an image ``(slices, rows, columns)`` averaged over larger voxels, and read between their middles.

    Args:
        grey: The picture.
        voxels: The larger ones; a side that is no larger than those of the image changes nothing.
        spacing_mm: Of the picture.
    """
    wider = [round(side / own, 1) for side, own in zip(voxels.mm, spacing_mm, strict=True)]
    if max(wider) <= 1:
        return grey
    found = grey.astype(np.float32)
    for axis, (side, phase) in enumerate(zip(wider, voxels.phase, strict=True)):
        if side > 1:
            found = np.moveaxis(np.tensordot(_averaging(grey.shape[axis], side, phase), found, axes=(1, axis)), 0, axis)
    found += np.float32(0.5)
    return np.ascontiguousarray(found).astype(np.uint8)


def scanned(
    grey: NDArray[np.uint8], kernel: CropKernel | None, voxels: Voxels | None, spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """Returns an image ``(slices, rows, columns)`` as another kernel shows it, and then a scan of larger voxels."""
    sharp = grey if kernel is None else reconstructed(grey, kernel, spacing_mm)
    return sharp if voxels is None else coarsened(sharp, voxels, spacing_mm)


@lru_cache(maxsize=512)
def _averaging(length: int, side: float, phase: float) -> NDArray[np.float32]:
    """Returns how much of each sample is in what is read in its place, ``(length, length)``; rows add up to 1."""
    count = int(np.ceil(length / side)) + 1
    borders = (np.arange(count + 1) - phase) * side  # the picture spans 0..length
    low, high = borders[:-1, None], borders[1:, None]
    samples = np.arange(length)
    inside = np.clip(np.minimum(high, samples + 1) - np.maximum(low, samples), 0, None)
    inside = inside[inside.sum(axis=1) > 0]
    means = inside / inside.sum(axis=1, keepdims=True)
    middles = means @ (samples + 0.5)
    place = np.clip(np.searchsorted(middles, samples + 0.5) - 1, 0, max(len(middles) - 2, 0))
    after = np.minimum(place + 1, len(middles) - 1)
    gap = np.where(after > place, middles[after] - middles[place], 1.0)
    share = np.clip((samples + 0.5 - middles[place]) / gap, 0, 1)[:, None]
    return np.asarray((1 - share) * means[place] + share * means[after], dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class StudyChange:
    """Holds what is done to one study.

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
        grain_mm: How far it is correlated along slices, rows and columns: standard deviations.
        kernel: Another reconstruction kernel, if it has one.
        streaks: Those of metal, if there is some.
        voxels: Those of a coarser scan, if it is one.
        raised: By how many slices those that are classified lie nearer the head.
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
    grain_mm: Vector = (0.0, 0.0, 0.0)
    kernel: CropKernel | None = None
    streaks: CropStreaks | None = None
    voxels: Voxels | None = None
    raised: int = 0
    seed: int = 0


def unchanged(raised: int = 0) -> StudyChange:
    """Returns what is done to a study that is classified: nothing, but that its slices may be raised."""
    nowhere = np.zeros((len(CERVICAL), 3), np.intp)
    return StudyChange(nowhere, nowhere, raised=raised)


def sample_study_change(rng: np.random.Generator, recipe: VertebraRecipe) -> StudyChange:
    """Samples what is done to one study."""
    settings = recipe.augmentation
    low, high = recipe.input.window_hu
    levels, spare = len(CERVICAL), np.array(recipe.crops.spare) // (1, MASK_STEP, MASK_STEP)
    pixel = np.array(recipe.input.spacing_mm) * (1, MASK_STEP, MASK_STEP)
    shift, mask_shift = (
        np.rint(rng.normal(0, sd, (levels, 3)) / pixel).astype(np.intp) for sd in (settings.shift_mm, settings.mask_shift_mm)
    )
    shift = np.clip(shift, -spare, spare)
    shown = np.ones(levels, bool)
    if rng.random() < settings.hidden_share:
        first, last = np.sort(rng.integers(0, levels, 2))
        shown = (np.arange(levels) >= first) & (np.arange(levels) <= last)
    return StudyChange(
        shift=shift,
        mask_shift=np.clip(shift + mask_shift, -spare, spare) - shift,
        heights=np.clip(rng.normal(1, settings.height_scale, levels), 0.7, 1.4),
        grown=np.where(rng.random(levels) < settings.mask_error_share, rng.choice((-1, 1), levels), 0),
        shown=shown,
        mirrored=bool(rng.random() < settings.flip_share),
        gain=float(1 + settings.gain * rng.uniform(-1, 1)),
        offset=float(settings.offset_hu / (high - low) * rng.uniform(-1, 1)),
        noise=float(settings.noise_hu / (high - low) * max(rng.uniform(-1, 1), 0)),
        voxels=sample_voxels(rng, settings),
        seed=int(rng.integers(1 << 31)),
        grain_mm=sample_grain(rng, settings),
        kernel=sample_kernel(rng, settings),
        streaks=sample_streaks(rng, settings, recipe.input.window_hu),
    )
