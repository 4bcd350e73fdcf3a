"""Turns the score of a network into a probability."""

from dataclasses import dataclass
from typing import Self

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

    ``probability = sigmoid(slope * logit(score) + intercept)``. The score of a level is what a network predicts. A study is as
    suspicious as its most suspicious level: the score of any fracture is the highest probability of a level, and its line says how
    probable any fracture is where that one is so high. It is never less probable than a fracture of that level.

    So one threshold of the levels decides the study too: the study is flagged exactly when one of its levels is.

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
    def identity(cls) -> Self:
        """Returns the calibration that takes scores as probabilities."""
        return cls((1.0,) * len(OUTPUTS), (0.0,) * len(OUTPUTS))

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Returns probabilities ``(..., 8)`` of scores ``(..., 8)``, ordered as :data:`OUTPUTS`; the first score has no part."""
        levels = self._on_line(np.asarray(scores, dtype=np.float64)[..., 1:], slice(1, None))
        return np.concatenate([self.any_fracture(levels.max(axis=-1))[..., None], levels], axis=-1)

    def any_fracture(self, highest: ArrayLike) -> NDArray[np.float64]:
        """Returns the probability of any fracture, ``(...)``, of studies whose most suspicious level has this one, ``(...)``."""
        level = np.asarray(highest, dtype=np.float64)
        return np.maximum(level, self._on_line(level[..., None], slice(0, 1))[..., 0])

    def _on_line(self, scores: NDArray[np.float64], which: slice) -> NDArray[np.float64]:
        probabilities: NDArray[np.float64] = 1 / (
            1 + np.exp(-(logits(scores) * self.slopes[which] + np.asarray(self.intercepts[which])))
        )
        return probabilities


def logits(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns logits, ``log(p / (1 - p))``, of scores in 0..1, kept finite."""
    clipped = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    found: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return found
