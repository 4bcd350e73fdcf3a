"""Noise that is a function of place: the same value wherever and however often it is evaluated."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.phantoms.model.shapes import Field, Points

_PERIOD = 48
_SEEDS = 16
"""Number of different noises; textures differ by shifts besides."""


def value_noise(points: Points, scale_mm: float, seed: int) -> Field:
    """Returns smooth noise with standard deviation about 1 and features of ``scale_mm``, at ``(3, ...)`` points."""
    shift = (np.array([0.618, 0.414, 0.732]) * (seed % 1009) * 7.3) % _PERIOD
    lattice = _lattice(seed % _SEEDS)
    axes = _axes(points)
    if axes is not None:
        x, y, z = (axes[axis] / np.float32(scale_mm) + np.float32(shift[axis]) for axis in range(3))
        return _between(_between(_between(lattice.T, z, 0), y, 1), x, 2)
    index = [points[axis] / np.float32(scale_mm) + np.float32(shift[axis]) for axis in range(3)]
    return np.asarray(ndimage.map_coordinates(lattice, index, order=1, mode="grid-wrap", output=np.float32), dtype=np.float32)


def _axes(points: Points) -> tuple[Field, Field, Field] | None:
    """Returns world x, y and z along the axes of an upright lattice ``(3, z, y, x)``; ``None`` for other points."""
    if points.ndim != 4 or not points.size:
        return None
    x, y, z = points[0, :1, :1, :], points[1, :1, :, :1], points[2, :, :1, :1]
    upright = all(
        np.array_equal(all_of_it, np.broadcast_to(one, all_of_it.shape)) for all_of_it, one in zip(points, (x, y, z), strict=True)
    )
    return (x.ravel(), y.ravel(), z.ravel()) if upright else None


def _between(values: Field, index: Field, axis: int) -> Field:
    """Returns values between those of a lattice along one axis, which repeats after its end."""
    low = np.floor(index)
    part = (index - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    first = low.astype(np.intp) % _PERIOD
    below, above = values.take(first, axis), values.take((first + 1) % _PERIOD, axis)
    return np.asarray(below + part * (above - below), dtype=np.float32)


@cache
def _lattice(seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal((_PERIOD,) * 3, dtype=np.float32)
    return noise * np.float32(1.6)  # linear interpolation averages: this brings the standard deviation back to about 1
