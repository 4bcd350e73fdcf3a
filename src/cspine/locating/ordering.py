"""The order of the vertebrae along the spine: which stretch is which level, and how sure that is.

Along the line, from the head, there is nothing or skull, then C1 to C7, each for about as long as it is in life, then other
vertebrae or nothing (:class:`cspine.level_order.OrderModel`). What the network predicts for each stretch, the order, and the
lengths decide together; so one cluster of wrong voxels cannot shift the count, and where nothing anchors it all ways to count
stay about as likely.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from cspine.anatomy import CERVICAL
from cspine.level_order import OrderModel

LENGTHS_MM = np.array([13.0, 21.0, 17.0, 16.5, 16.5, 17.0, 18.5])
"""How much of the line C1..C7 take: half of the distances to their neighbours; C2 with most of its dens."""

_VARIATION = 0.18
"""Standard deviation of a length, relative."""

_SHORTEST, _LONGEST = 0.35, 1.9
"""Of a length in life."""

_LEAST = 0.02
"""No evidence is so strong that it says never."""

_TRUST_PER_MM = 0.14
"""How much a millimetre of evidence counts: neighbouring voxels say the same thing, so they are not so many witnesses."""

_SKIPPED = float(np.log(1e-3))
"""Log probability that a neck lacks a level."""


@dataclass(frozen=True, slots=True, eq=False)
class CentrelineOrder:
    """Says which stretch of the line is which level.

    Attributes:
        probabilities: Of each point, from the head: what is above C1, C1..C7, what is below C7, ``(k, 9)``.
        first: First point of C1..C7 on the likeliest way; -1 where it is not there, ``(7,)``.
        last: Its last point, included, ``(7,)``.
    """

    probabilities: NDArray[np.float64]
    first: NDArray[np.intp]
    last: NDArray[np.intp]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Returns the confidence in the name of each stretch, 0..1, ``(7,)``; 0 where the level is not there.

        It is the upper quartile of its points: where a level ends is another question than what it is called.
        """
        found = np.zeros(len(CERVICAL))
        for i, (first, last) in enumerate(zip(self.first, self.last, strict=True)):
            if first >= 0:
                found[i] = np.quantile(self.probabilities[first : last + 1, i + 1], 0.75)
        return found


def find_order(evidence: NDArray[np.float64], presence: NDArray[np.float64], step_mm: float) -> CentrelineOrder:
    """Returns the order of levels along a line.

    Args:
        evidence: Prediction at each point, from the head: how much of each of C1..C7 and other vertebrae, ``(k, 8)``.
        presence: How likely there is a vertebra at each point, 0..1, ``(k,)``.
        step_mm: Distance of points.
    """
    model = OrderModel(
        _emissions(evidence, presence) * (_TRUST_PER_MM * step_mm), [None, *_length_scores(step_mm), None], _SKIPPED, most_skipped=1
    )
    path = model.best_path()
    places = [np.flatnonzero(path == level) for level in CERVICAL]
    first, last = (np.array([place[end] if len(place) else -1 for place in places], np.intp) for end in (0, -1))
    return CentrelineOrder(model.probabilities(), first, last)


def _emissions(evidence: NDArray[np.float64], presence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the log likelihood of each state at each point.

    Where there is no vertebra, it is what lies beyond the spine, or a gap in it.
    """
    share = evidence / np.maximum(evidence.sum(axis=1, keepdims=True), 1e-9)
    there = np.clip(presence, 0, 1)[:, None]
    levels = there * np.log(np.maximum(share, _LEAST)) + (1 - there) * np.log(0.3)
    nothing = there * np.log(_LEAST) + (1 - there) * np.log(0.9)
    below = np.maximum(levels[:, -1:], nothing)
    return np.concatenate([nothing, levels[:, :-1], below], axis=1)


def _length_scores(step_mm: float) -> list[NDArray[np.float64]]:
    """Returns the log probability of each length in points, from 1 on, of C1..C7."""
    scores = []
    for mean in LENGTHS_MM:
        sizes = np.arange(1, int(_LONGEST * mean / step_mm) + 1) * step_mm
        score = -0.5 * ((sizes - mean) / (_VARIATION * mean)) ** 2
        score[sizes < _SHORTEST * mean] = -np.inf
        scores.append(np.asarray(score - logsumexp(score)))
    return scores
