"""Losses that leave out what is not known: targets below 0."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

_SMALLEST = 1e-6
_PARTLY_KNOWN = -2.0


@keras.saving.register_keras_serializable(package="cspine")
class KnownBinaryCrossentropy(keras.losses.Loss):
    """Binary cross-entropy with soft targets, over the outputs whose target is known.

    Args:
        positive_weight: Factor of the part that a positive target has.
    """

    def __init__(self, positive_weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.positive_weight = positive_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one loss per sample, ``(n,)``, of targets and probabilities ``(n, outputs)``."""
        known = ops.cast(y_true >= 0, y_pred.dtype)
        target = ops.cast(ops.maximum(y_true, 0), y_pred.dtype)
        p = ops.clip(y_pred, _SMALLEST, 1 - _SMALLEST)
        loss = -(self.positive_weight * target * ops.log(p) + (1 - target) * ops.log(1 - p))
        return ops.mean(known * loss, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "positive_weight": self.positive_weight}


@keras.saving.register_keras_serializable(package="cspine")
class KnownCellCrossentropy(keras.losses.Loss):
    """Cross-entropy of a map of cells, over the slices whose map is known.

    Args:
        level_weight: How much more a cell of a level counts than one of the background, which fills most of a slice.
    """

    def __init__(self, level_weight: float = 5.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.level_weight = level_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one loss per sample, ``(n,)``, of shares and probabilities ``(n, rows, columns, classes)``, background first."""
        target = ops.cast(ops.maximum(y_true, 0), y_pred.dtype)
        loss = -ops.sum(target * ops.log(ops.clip(y_pred, _SMALLEST, 1)), axis=-1)
        weight = 1 + (self.level_weight - 1) * ops.sum(target[..., 1:], axis=-1)
        return ops.mean(weight * loss, axis=(1, 2))

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "level_weight": self.level_weight}


@keras.saving.register_keras_serializable(package="cspine")
class KnownDiceCrossentropy(keras.losses.Loss):
    """Soft Dice loss (Milletari, Navab and Ahmadi, 2016) and cross-entropy of a map of pixels or voxels, where it is known.

    Dice is taken for each level that a slice or window shows, and averaged over these.

    Args:
        smooth: Pixels that are added above and below, so that a level of few pixels does not decide alone.
    """

    def __init__(self, smooth: float = 10.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.smooth = smooth

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one loss per sample, ``(n,)``, of levels ``(n, ...)`` and probabilities ``(n, ..., classes)``."""
        space = tuple(range(1, len(y_pred.shape) - 1))
        known = ops.cast(ops.min(y_true, axis=space) >= 0, y_pred.dtype)
        target = ops.one_hot(ops.cast(ops.maximum(y_true, 0), "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        entropy = -ops.mean(ops.sum(target * ops.log(ops.clip(y_pred, _SMALLEST, 1)), axis=-1), axis=space)
        there, predicted = target[..., 1:], y_pred[..., 1:]
        area = ops.sum(there, axis=space)
        both = ops.sum(there * predicted, axis=space)
        dice = (2 * both + self.smooth) / (area + ops.sum(predicted, axis=space) + self.smooth)
        shown = ops.cast(area > 0, y_pred.dtype)
        missed = ops.sum(shown * (1 - dice), axis=-1) / ops.maximum(ops.sum(shown, axis=-1), 1)
        return known * (entropy + missed)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "smooth": self.smooth}


@keras.saving.register_keras_serializable(package="cspine")
class PartialDiceCrossentropy(keras.losses.Loss):
    """As :class:`KnownDiceCrossentropy`, of windows whose voxels may be known, half known and unknown.

    A voxel of target -2 is known to be one of some classes. It costs what the probabilities of these lack of 1 (a
    marginal likelihood: Fidon et al., 2021), and counts in the Dice of the other classes as a place where they are
    not. One of -1 costs nothing.

    Args:
        possible: The classes that a voxel of target -2 may have.
        smooth: Voxels that are added above and below, so that a level of few voxels does not decide alone.
    """

    def __init__(self, possible: Sequence[int], smooth: float = 10.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.possible = tuple(possible)
        self.smooth = smooth

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one loss per window, ``(n,)``, of targets ``(n, z, y, x)`` and probabilities ``(n, z, y, x, classes)``."""
        classes, space = y_pred.shape[-1], (1, 2, 3)
        possible = np.isin(np.arange(classes), self.possible).astype("float32")
        known, partly = (ops.cast(mask, y_pred.dtype)[..., None] for mask in (y_true >= 0, y_true == _PARTLY_KNOWN))
        target = known * ops.one_hot(ops.cast(ops.maximum(y_true, 0), "int32"), classes, dtype=y_pred.dtype)
        likely = ops.sum((target + partly * possible) * y_pred, axis=-1)
        counted = (known + partly)[..., 0]
        entropy = -ops.mean(counted * ops.log(ops.clip(likely, _SMALLEST, 1)), axis=space)
        there, predicted = target[..., 1:], ((known + partly * (1 - possible)) * y_pred)[..., 1:]
        area, both = ops.sum(there, axis=space), ops.sum(there * predicted, axis=space)
        dice = (2 * both + self.smooth) / (area + ops.sum(predicted, axis=space) + self.smooth)
        shown = ops.cast(area > 0, y_pred.dtype)
        return entropy + ops.sum(shown * (1 - dice), axis=-1) / ops.maximum(ops.sum(shown, axis=-1), 1)

    def get_config(self) -> dict[str, Any]:
        """Returns every argument."""
        return {**super().get_config(), "possible": self.possible, "smooth": self.smooth}
