"""Samples an array along axes that are not its own, as :func:`scipy.ndimage.affine_transform` does, in half of its time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Shape

_VOXELS = 1 << 15
"""So many at a time: what is calculated for them stays in the processor's cache."""

Places = NDArray[np.float64]
"""Fractional indices of an array, one axis after the other, ``(3, rows, columns)``."""


def linear(
    image: NDArray[np.float32], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: Shape
) -> NDArray[np.float32]:
    """Returns the values at ``matrix @ index + offset`` for all indices of ``shape``, interpolated linearly in double precision.

    Beyond the image its border goes on.

    Args:
        image: Two voxels at least along each axis.
        matrix: From target to source, ``(3, 3)``.
        offset: The source index of the first target, ``(3,)``.
        shape: Of the target.
    """
    out, flat, steps = np.empty(shape, np.float32), image.ravel(), _steps(image.shape)
    last = np.nextafter(np.asarray(image.shape) - 1.0, 0)[:, None, None]
    for part, places in _parts(matrix, offset, shape):
        np.clip(places, 0, last, out=places)
        whole = np.floor(places)
        out[part] = _between(flat, _flat_index(whole, steps), np.subtract(places, whole, out=places), steps)
    return out


def nearest(
    labels: NDArray[np.uint8], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: Shape, fill: int
) -> NDArray[np.uint8]:
    """Returns the nearest labels at such places, and ``fill`` beyond them; arguments as of :func:`linear`."""
    padded = np.pad(labels, 1, constant_values=fill)
    out, flat, steps = np.empty(shape, np.uint8), padded.ravel(), _steps(padded.shape)
    beyond = np.asarray(labels.shape)[:, None, None]
    for part, places in _parts(matrix, offset, shape):
        whole = np.clip(np.floor(places + 0.5), -1, beyond)
        out[part] = flat.take(_flat_index(whole, steps) + sum(steps), mode="wrap")
    return out


def _parts(matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: Shape) -> Iterator[tuple[tuple[int, slice], Places]]:
    """Yields some rows of a slice at a time, and where their voxels lie."""
    rows = max(1, _VOXELS // shape[2])
    z, y, x = (matrix[:, axis, None] * np.arange(count) for axis, count in enumerate(shape))
    for number in range(shape[0]):
        first = offset + z[:, number]
        for start in range(0, shape[1], rows):
            part = slice(start, start + rows)
            yield (number, part), (first[:, None] + y[:, part])[:, :, None] + x[:, None]


def _steps(shape: Shape) -> tuple[int, int, int]:
    """Returns how far apart neighbours along each axis lie in a flat array."""
    return shape[1] * shape[2], shape[2], 1


def _flat_index(whole: Places, steps: tuple[int, int, int]) -> NDArray[np.intp]:
    z, y, x = whole
    return np.asarray(z * steps[0] + y * steps[1] + x, dtype=np.intp)


def _between(flat: NDArray[np.float32], first: NDArray[np.intp], shares: Places, steps: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns what lies between neighbours along some axes.

    Args:
        flat: The image from a corner on.
        first: Where the neighbours begin in it.
        shares: How far from these to the next ones, for each axis.
        steps: How far apart neighbours lie, for each axis.
    """
    if not steps:
        return flat.take(first, mode="wrap").astype(np.float64)  # none lies outside, and to wrap is to check least
    low = _between(flat, first, shares[1:], steps[1:])
    high = _between(flat[steps[0] :], first, shares[1:], steps[1:])
    high -= low
    high *= shares[0]
    high += low
    return high
