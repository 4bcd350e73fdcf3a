"""Noise that is a function of place: the same value wherever and however often it is asked."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.phantoms.shapes import Field, Points

_PERIOD = 48
_SEEDS = 16
"""Number of different noises; textures are told apart by shifts besides."""


def value_noise(points: Points, scale_mm: float, seed: int) -> Field:
    """Smooth noise with standard deviation about 1 and features of ``scale_mm``, at ``(3, ...)`` points."""
    shift = (np.array([0.618, 0.414, 0.732]) * (seed % 1009) * 7.3) % _PERIOD
    index = [points[axis] / np.float32(scale_mm) + np.float32(shift[axis]) for axis in range(3)]
    lattice = _lattice(seed % _SEEDS)
    return np.asarray(ndimage.map_coordinates(lattice, index, order=1, mode="grid-wrap", output=np.float32), dtype=np.float32)


@cache
def _lattice(seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal((_PERIOD,) * 3, dtype=np.float32)
    return noise * np.float32(1.6)  # linear interpolation averages: this brings the standard deviation back to about 1
