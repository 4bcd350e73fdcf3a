"""Crops as a scan of thick slices or large pixels shows them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cspine.training.vertebrae.settings import CropChance

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


def draw_voxels(rng: np.random.Generator, chance: CropChance) -> Voxels | None:
    """Draws the voxels of a coarser scan; ``None`` where the scan stays as it is."""
    if rng.random() >= chance.coarse:
        return None
    thickest, largest = chance.coarse_mm
    slices, pixels = rng.uniform(0, thickest), rng.uniform(0, largest)
    thick = 0 if rng.random() < _ACROSS else int(rng.integers(1, 3))
    mm = [slices if axis == thick else pixels for axis in range(3)]
    phase = rng.integers(0, _PHASES, 3) / _PHASES
    return Voxels((mm[0], mm[1], mm[2]), (float(phase[0]), float(phase[1]), float(phase[2])))


def coarsened(grey: NDArray[np.uint8], voxels: Voxels, spacing_mm: tuple[float, float, float]) -> NDArray[np.uint8]:
    """A picture ``(slices, rows, columns)`` averaged over larger voxels, and read between their middles.

    Args:
        grey: The picture.
        voxels: The larger ones; a side that is no larger than those of the picture changes nothing.
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


@lru_cache(maxsize=512)
def _averaging(length: int, side: float, phase: float) -> NDArray[np.float32]:
    """How much of each sample is in what is read in its place, ``(length, length)``; rows add up to 1."""
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
