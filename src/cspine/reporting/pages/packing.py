"""Voxels as text that a browser unpacks: 251 codes for Hounsfield units, pixels predicted from neighbours, deflated, base64."""

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

HOUNSFIELD: NDArray[np.float32] = np.concatenate(
    [np.arange(-1000, -200, 40), np.arange(-200, 304, 8), np.arange(304, 2992, 16)]
).astype(np.float32)
"""The Hounsfield units that a code stands for: 8 apart in soft tissue, 16 in bone, 40 in air; beyond the ends they are cut off."""

_BLOCK = 1 << 16
"""Voxels at a time: they stay in the processor's cache."""


def coded(hu: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns the nearest code of each voxel."""
    middles = (HOUNSFIELD[1:] + HOUNSFIELD[:-1]) / 2
    steps = np.arange(-1000, 2993, dtype=np.float32)
    table = np.searchsorted(middles, steps).astype(np.uint8)
    values, codes = hu.ravel(), np.empty(hu.size, np.uint8)
    for start in range(0, hu.size, _BLOCK):
        here = slice(start, start + _BLOCK)
        codes[here] = table[np.rint(np.clip(values[here], -1000, 2992)).astype(np.int16) + 1000]
    return codes.reshape(hu.shape)


def packed_slices(codes: NDArray[np.uint8]) -> str:
    """Returns slices ``(z, y, x)``, each pixel as its difference from what its neighbours to the left and above predict.

    The guess is the median edge detector of LOCO-I (Weinberger, Seroussi and Sapiro 2000); a pixel outside is 0.
    """
    differences = np.empty(codes.shape, np.uint8)
    wide = np.zeros((codes.shape[1] + 1, codes.shape[2] + 1), np.int16)
    left, upper, corner = wide[1:, :-1], wide[:-1, 1:], wide[:-1, :-1]
    for pixels, out in zip(codes, differences, strict=True):
        wide[1:, 1:] = pixels
        guess = np.clip(left + upper - corner, np.minimum(left, upper), np.maximum(left, upper))
        np.subtract(pixels, guess.astype(np.uint8), out=out)
    return packed(differences)


def packed(values: NDArray[np.uint8]) -> str:
    """Returns bytes, deflated, as base64."""
    # noise holds no longer repeats than runs: looking for them takes ten times as long and gains nothing
    deflate = zlib.compressobj(strategy=zlib.Z_RLE)
    return base64.b64encode(deflate.compress(values.tobytes()) + deflate.flush()).decode("ascii")
