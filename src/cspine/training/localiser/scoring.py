"""How well a localiser sees windows of necks: overlap, and whether each level is where it is and called what it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.specs import VolumeSpec
from cspine.training.localiser.known import UNKNOWN_CLASS

_SEEN_VOXELS = 60
"""A level of fewer voxels in a window is cut too short to be counted."""


@dataclass(frozen=True, slots=True)
class WindowScore:
    """What a network does on windows; NaN where they show no level.

    Attributes:
        dice: Mean overlap of C1..C7 that the windows show (Dice, 1945).
        right: Share of levels shown at whose voxels the network mostly says that level.
        wrong: Share of those at whose voxels it mostly says another one.
        invented: Voxels of C1..C7 that are said where there is none, in litres per window.
    """

    dice: float
    right: float
    wrong: float
    invented: float


def judge_windows(
    model: keras.Model, windows: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8]]], spec: VolumeSpec
) -> WindowScore:
    """Judges a network on windows ``(z, y, x)`` and their classes."""
    dices: list[float] = []
    calls: list[bool | None] = []
    invented = []
    for image, classes in windows:
        said = np.argmax(keras.ops.convert_to_numpy(model(image[None, ..., None], training=False)["levels"])[0], axis=-1)
        said[classes == UNKNOWN_CLASS] = 0
        cervical = np.isin(said, CERVICAL)
        invented.append(np.count_nonzero(cervical & ~np.isin(classes, CERVICAL)) * np.prod(spec.spacing_mm) / 1e6)
        for level in CERVICAL:
            there = classes == level
            if there.sum() >= _SEEN_VOXELS:
                dices.append(2 * np.count_nonzero(there & (said == level)) / (there.sum() + np.count_nonzero(said == level)))
                calls.append(_call(said[there], level))
    return WindowScore(
        _mean(dices), _mean([call is True for call in calls]), _mean([call is False for call in calls]), _mean(invented)
    )


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _call(said: NDArray[np.intp], level: int) -> bool | None:
    """Whether most of a level's voxels are called so; ``None`` where most are called no vertebra at all."""
    counts = np.bincount(said, minlength=len(CERVICAL) + 2)[: len(CERVICAL) + 2]
    counts[0] = max(len(said) - counts[1:].sum(), 0)
    winner = int(np.argmax(counts))
    return None if winner == 0 else winner == level
