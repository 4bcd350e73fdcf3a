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

    ``probability = sigmoid(slope * logit(score) + intercept)``. The score of a level is what a network says. The score of any
    fracture is the noisy-OR of the levels' probabilities, ``1 - product(1 - probability)``: a level at which a network always finds
    a little then counts for as little as it should.

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
        """Returns probabilities ``(..., 8)`` of scores ``(..., 8)``, in the order of :data:`OUTPUTS`; one score may not count."""
        given = np.asarray(scores, dtype=np.float64)
        levels = self._on_line(given[..., 1:], slice(1, None))
        overall = self._on_line(self._any(given, levels)[..., None], slice(0, 1))
        return np.concatenate([overall, levels], axis=-1)

    def _any(self, scores: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002  # others look at both
        """Returns the score of any fracture, ``(...)``, of scores ``(..., 8)`` and the probabilities of levels ``(..., 7)``."""
        return noisy_or(levels)

    def _on_line(self, scores: NDArray[np.float64], which: slice) -> NDArray[np.float64]:
        probabilities: NDArray[np.float64] = 1 / (
            1 + np.exp(-(logits(scores) * self.slopes[which] + np.asarray(self.intercepts[which])))
        )
        return probabilities


class OwnOverall(Calibration):
    """The same for networks that score the study themselves: the score of any fracture is the first of theirs."""

    def _any(self, scores: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        return scores[..., 0]


def logits(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns logits, ``log(p / (1 - p))``, of scores in 0..1, kept finite."""
    clipped = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    found: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return found


def noisy_or(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the probability of any, from those of each ``(..., n)``, were they independent."""
    either: NDArray[np.float64] = 1 - np.prod(1 - levels, axis=-1)
    return either
