"""Checks whether slices in order continue each other, by what they show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIDE = 32
_SAMPLES = 4
_LEAST_SLICES = 8
_LIKER = 0.75
_FARTHEST = 4
_WINDOW_HU = (-1000, 1000)
_LEAST_RUN = 6


def strangers(hu: NDArray[Any]) -> int:
    """Counts slices in a row that look much less like their neighbours than like slices beyond, as in interleaved passes.

    Args:
        hu: Slices in order, ``(n, rows, columns)``.

    Returns:
        Their number; 0 where they are so few that a moment of movement, or a pattern that repeats itself, explains them.
    """
    count = len(hu)
    if count < _LEAST_SLICES:
        return 0
    small = _small(hu)
    near, far = np.full(count, np.inf), np.full(count, np.inf)
    for lag in range(1, min(_FARTHEST, count - 1) + 1):
        difference = np.abs(small[lag:] - small[:-lag]).mean(axis=(1, 2))
        nearest = near if lag == 1 else far
        nearest[:-lag] = np.minimum(nearest[:-lag], difference)
        nearest[lag:] = np.minimum(nearest[lag:], difference)
    familiar = np.flatnonzero(~(far < _LIKER * near))
    longest = int(np.diff(familiar, prepend=-1, append=count).max()) - 1
    return longest if longest >= _LEAST_RUN else 0


def _small(hu: NDArray[Any]) -> NDArray[np.float32]:
    """Returns slices in some 32 x 32 blocks: noise is averaged, anatomy stays."""
    block = max(1, min(hu.shape[1:]) // _SIDE)
    stride = max(1, block // _SAMPLES)
    samples = np.clip(hu[:, ::stride, ::stride], *_WINDOW_HU)
    block //= stride
    rows, columns = samples.shape[1] // block, samples.shape[2] // block
    blocks = samples[:, : rows * block, : columns * block].reshape(len(hu), rows, block, columns * block)
    summed = blocks.sum(axis=2, dtype=np.float32).reshape(len(hu), rows, columns, block).sum(axis=3)
    return np.asarray(summed / np.float32(block**2))
