"""Measures how well networks outline vertebrae: levels in windows, by overlap and name, and one vertebra in a crop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.specs import RefinerSpec, VolumeSpec
from cspine.training.localiser.pool import UNKNOWN_CLASS, Windows

_SEEN_VOXELS = 60
"""A level of fewer voxels in a window is cut too short to be counted."""

_SEEN_CROP_VOXELS = 200
"""The same of a vertebra in a crop."""


@dataclass(frozen=True, slots=True)
class WindowScore:
    """Holds the score of a network on windows; NaN where they show no level.

    Attributes:
        dice: Mean overlap of C1..C7 that the windows show (Dice, 1945).
        right: Share of levels shown at most of whose voxels the network predicts that level.
        wrong: Share of those at most of whose voxels it predicts another one.
        invented: Voxels of C1..C7 that are predicted where there is none, in litres per window.
    """

    dice: float
    right: float
    wrong: float
    invented: float


def score_windows(model: keras.Model, windows: Windows, spec: VolumeSpec) -> WindowScore:
    """Returns what a network does on windows ``(z, y, x)`` and their classes."""
    dices: list[float] = []
    named: list[bool | None] = []
    invented = []
    for image, classes in windows:
        predicted = np.argmax(keras.ops.convert_to_numpy(model(image[None, ..., None], training=False)[spec.output])[0], axis=-1)
        predicted[classes == UNKNOWN_CLASS] = 0
        cervical = np.isin(predicted, CERVICAL)
        invented.append(np.count_nonzero(cervical & ~np.isin(classes, CERVICAL)) * np.prod(spec.spacing_mm) / 1e6)
        for level in CERVICAL:
            there = classes == level
            if there.sum() >= _SEEN_VOXELS:
                here = predicted == level
                dices.append(2 * np.count_nonzero(there & here) / (there.sum() + np.count_nonzero(here)))
                named.append(_is_named(predicted[there], level))
    return WindowScore(_mean(dices), _mean([one is True for one in named]), _mean([one is False for one in named]), _mean(invented))


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _is_named(predicted: NDArray[np.intp], level: int) -> bool | None:
    """Returns whether most of a level's voxels have its name; ``None`` where most are no vertebra at all."""
    counts = np.bincount(predicted, minlength=len(CERVICAL) + 2)[: len(CERVICAL) + 2]
    counts[0] = max(len(predicted) - counts[1:].sum(), 0)
    winner = int(np.argmax(counts))
    return None if winner == 0 else winner == level


@dataclass(frozen=True, slots=True)
class CropScore:
    """Holds the score of a network on crops; NaN where they show no vertebra.

    Attributes:
        dice: Mean overlap of the vertebra that is segmented (Dice, 1945).
        dice_p10: The tenth percentile of it.
        off_mm: The 95th percentile of the distance of the centroids.
    """

    dice: float
    dice_p10: float
    off_mm: float


def score_crops(model: keras.Model, crops: Windows, spec: RefinerSpec) -> CropScore:
    """Returns what a network does on crops ``(z, y, x, 3)`` and what their voxels are, ``(z, y, x)``."""
    dices, distances = [], []
    for crop, classes in crops:
        predicted = keras.ops.convert_to_numpy(model(crop[None], training=False)[spec.output])[0, ..., 1] > 0.5
        there = classes == 1
        if there.sum() >= _SEEN_CROP_VOXELS:
            dices.append(2 * np.count_nonzero(there & predicted) / (there.sum() + predicted.sum()))
            apart = [np.argwhere(mask).mean(axis=0) if mask.any() else np.zeros(3) for mask in (there, predicted)]
            distances.append(np.linalg.norm((apart[0] - apart[1]) * spec.spacing_mm))
    if not dices:
        return CropScore(math.nan, math.nan, math.nan)
    return CropScore(float(np.mean(dices)), float(np.percentile(dices, 10)), float(np.percentile(distances, 95)))
