"""Measures what the crops of a scan look like, in a few numbers: the same for training and for service."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.specs import VertebraSpec

_SOFT_HU = (-120.0, 160.0)
_INSIDE, _OUTSIDE = 0.6, 0.05
"""From which value of its smoothed mask on a pixel is of the vertebra, and below which it is not."""

_MAD, _SECOND = 0.6745, np.sqrt(6.0)
"""Of a normal distribution: median of what is off its middle; growth of the deviation by second differences of white noise."""

_AROUND = 7
"""Pixels along rows and columns whose mean tells soft tissue."""

_NEARLY_WHITE = 0.995

_EVERY = 2
"""Of so many slices one is measured: they say as much as all."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """Holds what the vertebrae of a scan look like.

    Attributes:
        bone_hu: Median of the vertebrae.
        soft_hu: Median of the soft tissue around them.
        noise_hu: Standard deviation of the noise there, from pixel to pixel.
        metal_ml: What is as dense as the window goes, or more.
    """

    bone_hu: float
    soft_hu: float
    noise_hu: float
    metal_ml: float

    def values(self) -> dict[str, float]:
        """Returns the numbers by name."""
        return asdict(self)


def appearance_of(crops: NDArray[np.float32], spec: VertebraSpec) -> Appearance | None:
    """Returns what the crops of a study look like; ``None`` where they show too little.

    Args:
        crops: As the network takes them, ``(7, slices, rows, columns, channels)``.
        spec: Of these.
    """
    low, high = spec.window_hu
    picture, mask = crops[:, ::_EVERY, ..., spec.neighbours], crops[:, ::_EVERY, ..., -1]
    there = mask.max(axis=(1, 2, 3)) > 0
    picture, mask = picture[there], mask[there]
    hu = low + picture * (high - low)
    bone = hu[mask >= _INSIDE]
    # by what is around a pixel: by itself, one that noise throws far would not be counted, and noise would seem small
    outside = (mask < _OUTSIDE).astype(np.float32)
    around, share = (ndimage.uniform_filter(part, (0, 0, _AROUND, _AROUND), mode="nearest") for part in (hu * outside, outside))
    soft = (around > _SOFT_HU[0] * share) & (around < _SOFT_HU[1] * share) & (outside > 0)
    inner = soft[..., 1:-1]
    if not len(bone) or not inner.any():
        return None
    second = (hu[..., 2:] - 2 * hu[..., 1:-1] + hu[..., :-2])[inner]
    pixel_ml = spec.spacing_mm[1] * spec.spacing_mm[2] / 1000
    # slices of a level lie about two millimetres apart; what several crops show counts once for each, as a rough measure may
    metal = np.count_nonzero(picture >= _NEARLY_WHITE) * _EVERY * pixel_ml * 2 * spec.spacing_mm[0]
    return Appearance(
        bone_hu=float(np.median(bone)),
        soft_hu=float(np.median(hu[soft])),
        noise_hu=float(np.median(np.abs(second)) / _MAD / _SECOND),
        metal_ml=float(metal),
    )
