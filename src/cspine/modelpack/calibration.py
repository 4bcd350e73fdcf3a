"""From the score of a network to a probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.anatomy import CERVICAL
from cspine.errors import PackageError

OUTPUTS: tuple[str, ...] = ("overall", *(level.name for level in CERVICAL))
"""The order of everything with one entry per output: any fracture, then C1..C7."""

_SMALLEST = 1e-6
"""Scores are kept this far from 0 and 1, so that their logits stay finite."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A line through the logits of each output (Platt, 1999).

    ``probability = sigmoid(slope * logit(score) + intercept)``

    Attributes:
        slopes: One per output, in the order of :data:`OUTPUTS`; above 0, so that the order of scores stays.
        intercepts: One per output.
    """

    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]

    def __post_init__(self) -> None:
        lines = np.array([*self.slopes, *self.intercepts], dtype=np.float64)
        right_length = len(self.slopes) == len(self.intercepts) == len(OUTPUTS)
        if not right_length or not np.all(np.isfinite(lines)) or min(self.slopes) <= 0:
            raise PackageError(f"A calibration needs {len(OUTPUTS)} slopes above 0 and as many intercepts. Received: {self}")

    @classmethod
    def identity(cls) -> "Calibration":
        """Scores are taken as probabilities."""
        return cls((1.0,) * len(OUTPUTS), (0.0,) * len(OUTPUTS))

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Probabilities ``(..., 8)`` of scores ``(..., 8)`` in 0..1, in the order of :data:`OUTPUTS`."""
        clipped = np.clip(np.asarray(scores, dtype=np.float64), _SMALLEST, 1 - _SMALLEST)
        logits = np.log(clipped / (1 - clipped))
        probabilities: NDArray[np.float64] = 1 / (1 + np.exp(-(logits * self.slopes + self.intercepts)))
        return probabilities
