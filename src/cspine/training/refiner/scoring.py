"""How well a refiner tells vertebrae from their neighbours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.specs import RefinerSpec

_SEEN_VOXELS = 200
"""A vertebra of fewer voxels in a crop is cut too short to be counted."""


@dataclass(frozen=True, slots=True)
class CropScore:
    """What a network does on crops; NaN where they show no vertebra.

    Attributes:
        dice: Mean overlap of the vertebra that is asked for (Dice, 1945).
        poor: The tenth percentile of it.
        off_mm: The 95th percentile of the distance of the centroids.
    """

    dice: float
    poor: float
    off_mm: float


def judge_crops(model: keras.Model, crops: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8]]], spec: RefinerSpec) -> CropScore:
    """Judges a network on crops ``(z, y, x, 3)`` and what their voxels are, ``(z, y, x)``."""
    dices, distances = [], []
    for crop, classes in crops:
        said = keras.ops.convert_to_numpy(model(crop[None], training=False)[spec.output])[0, ..., 1] > 0.5
        there = classes == 1
        if there.sum() >= _SEEN_VOXELS:
            dices.append(2 * np.count_nonzero(there & said) / (there.sum() + said.sum()))
            apart = [np.argwhere(mask).mean(axis=0) if mask.any() else np.zeros(3) for mask in (there, said)]
            distances.append(np.linalg.norm((apart[0] - apart[1]) * spec.spacing_mm))
    if not dices:
        return CropScore(math.nan, math.nan, math.nan)
    return CropScore(float(np.mean(dices)), float(np.percentile(dices, 10)), float(np.percentile(distances, 95)))
