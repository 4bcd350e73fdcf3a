"""Phantoms as a localiser that sees well, or not so well, would say them."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Grid
from cspine.phantoms import Neck, Spread, Variation, render, sample_neck
from cspine.training.localiser.pool import classes_of

SPACING = (2.5, 2.5, 2.5)


@cache
def neck(seed: int, spread: Spread | None = None) -> tuple[Neck, Grid, NDArray[np.uint8]]:
    """Returns a neck from skull to chest, its grid, and the class of each voxel."""
    rng = np.random.default_rng(seed)
    made = sample_neck(rng, variation=Variation(spread=spread)) if spread else sample_neck(rng)
    grid = made.scan_grid(SPACING, 200.0, above_mm=40.0, below_mm=55.0)
    return made, grid, classes_of(render(made, grid).labels.labels)


def predicted(
    classes: NDArray[np.uint8], rng: np.random.Generator, *, noise: float = 0.3, blur: float = 0.7
) -> NDArray[np.float32]:
    """Returns probabilities of a network that sees the classes blurred, and doubts."""
    hot = np.stack([ndimage.gaussian_filter((classes == c).astype(np.float32), blur) for c in range(10)], axis=-1)
    doubt = np.stack([ndimage.gaussian_filter(rng.standard_normal(classes.shape, np.float32), 2) for _ in range(10)], axis=-1)
    logits = np.log(hot + 0.02) + noise * doubt / doubt.std()
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True), dtype=np.float32)
