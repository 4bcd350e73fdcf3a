"""The loss of a localiser: of each voxel, what it is, what it may be, or nothing."""

from typing import Any

import keras
import numpy as np
from keras import ops

from cspine.training.localiser.known import UNNAMED, UNNAMED_TARGET

_SMALLEST = 1e-6


@keras.saving.register_keras_serializable(package="cspine")
class VoxelDiceCrossentropy(keras.losses.Loss):
    """As :class:`cspine.training.core.losses.KnownDiceCrossentropy`, whose voxels may be known, half known and unknown.

    A voxel that is known to be none of C1..C7 costs what the probabilities of the classes left to it lack of 1 (a marginal
    likelihood: Fidon et al., 2021), and counts in the Dice of C1..C7 as a place where they are not. An unknown one costs nothing.

    Args:
        smooth: Voxels that are added above and below, so that a level of few voxels does not decide alone.
    """

    def __init__(self, smooth: float = 10.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.smooth = smooth

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss per window, ``(n,)``, of targets ``(n, z, y, x)`` and probabilities ``(n, z, y, x, classes)``."""
        classes, space = y_pred.shape[-1], (1, 2, 3)
        possible = np.isin(np.arange(classes), UNNAMED).astype("float32")
        known, unnamed = (ops.cast(mask, y_pred.dtype)[..., None] for mask in (y_true >= 0, y_true == UNNAMED_TARGET))
        target = known * ops.one_hot(ops.cast(ops.maximum(y_true, 0), "int32"), classes, dtype=y_pred.dtype)
        likely = ops.sum((target + unnamed * possible) * y_pred, axis=-1)
        counted = (known + unnamed)[..., 0]
        entropy = -ops.mean(counted * ops.log(ops.clip(likely, _SMALLEST, 1)), axis=space)
        there, said = target[..., 1:], ((known + unnamed * (1 - possible)) * y_pred)[..., 1:]
        area, both = ops.sum(there, axis=space), ops.sum(there * said, axis=space)
        dice = (2 * both + self.smooth) / (area + ops.sum(said, axis=space) + self.smooth)
        shown = ops.cast(area > 0, y_pred.dtype)
        return entropy + ops.sum(shown * (1 - dice), axis=-1) / ops.maximum(ops.sum(shown, axis=-1), 1)

    def get_config(self) -> dict[str, Any]:
        """Every argument."""
        return {**super().get_config(), "smooth": self.smooth}
