"""The order of the vertebrae along the spine: which stretch is which level, and how sure that is.

A hidden semi-Markov model (Ferguson, 1980): along the line, from the head, there is nothing or skull, then C1 to C7, each for about
as long as it is in life, then other vertebrae or nothing. What the network says of each stretch, the order, and the lengths
decide together; so one cluster of wrong voxels cannot shift the count, and where nothing anchors it all ways to count stay
about as likely.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from cspine.anatomy import CERVICAL

LENGTHS_MM = np.array([13.0, 21.0, 17.0, 16.5, 16.5, 17.0, 18.5])
"""How much of the line C1..C7 take: half of the distances to their neighbours; C2 with most of its dens."""

_VARIATION = 0.18
"""Standard deviation of a length, relative."""

_SHORTEST, _LONGEST = 0.35, 1.9
"""Of a length in life."""

_LEVELS = len(CERVICAL)
_STATES = _LEVELS + 2
"""What is above C1, C1..C7, what is below C7."""

_LEAST = 0.02
"""No evidence is so strong that it says never."""

_TRUST_PER_MM = 0.14
"""How much a millimetre of evidence counts: neighbouring voxels say the same thing, so they are not so many witnesses."""

_STEPS = ((0, 0.0), (1, float(np.log(1e-3))))
"""From a state to the next; over one that a neck lacks: states left out, and the log probability of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Which stretch of the line is which level.

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
        """How sure the name of each stretch is, 0..1, ``(7,)``; 0 where the level is not there.

        It is the upper quartile of its points: where a level ends is another question than what it is called.
        """
        found = np.zeros(_LEVELS)
        for i, (first, last) in enumerate(zip(self.first, self.last, strict=True)):
            if first >= 0:
                found[i] = np.quantile(self.probabilities[first : last + 1, i + 1], 0.75)
        return found


def find_order(evidence: NDArray[np.float64], presence: NDArray[np.float64], step_mm: float) -> Order:
    """The order of levels along a line.

    Args:
        evidence: What the network says at each point, from the head: how much of each of C1..C7 and other vertebrae, ``(k, 8)``.
        presence: How likely there is a vertebra at each point, 0..1, ``(k,)``.
        step_mm: Distance of points.
    """
    model = _Model(_emissions(evidence, presence) * (_TRUST_PER_MM * step_mm), _length_scores(step_mm))
    first, last = model.likeliest()
    return Order(model.probabilities(), first, last)


class _Model:
    """Scores of stretches, and sums and maxima over all ways to lay them one after the other.

    ``stretches[state][begin, end]`` is the log likelihood of a state from one point up to another, and of its length.
    """

    def __init__(self, emission: NDArray[np.float64], lengths: list[NDArray[np.float64]]) -> None:
        self._count = len(emission)
        total = np.vstack([np.zeros(_STATES), np.cumsum(emission, axis=0)])
        begin, end = np.indices((self._count + 1, self._count + 1))
        size, cut = end - begin, (begin == 0) | (end == self._count)
        self._stretches = []
        for state in range(_STATES):
            scores = np.where(size > 0, total[end, state] - total[begin, state], -np.inf)
            if 0 < state <= _LEVELS:
                scores += _of_length(lengths[state - 1], size, cut)
            self._stretches.append(scores)

    def likeliest(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last point of C1..C7 on the best way."""
        done = np.full((self._count + 1, _STATES), -np.inf)
        begins = np.zeros((self._count + 1, _STATES), np.intp)
        for state, stretches in enumerate(self._stretches):
            ways = self._entries(done, state).max(axis=0)[:, None] + stretches
            begins[:, state], done[:, state] = np.argmax(ways, axis=0), ways.max(axis=0)
        first, last = (np.full(_LEVELS, -1, dtype=np.intp) for _ in range(2))
        end, state = self._count, int(np.argmax(done[self._count]))
        while end:
            begin = int(begins[end, state])
            if 0 < state <= _LEVELS:
                first[state - 1], last[state - 1] = begin, end - 1
            end, state = begin, state - 1 - int(np.argmax(self._entries(done, state)[:, begin]))
        return first, last

    def probabilities(self) -> NDArray[np.float64]:
        """How likely each point is in each state, ``(k, 9)``."""
        enter, done, after, ahead = (np.full((self._count + 1, _STATES), -np.inf) for _ in range(4))
        for state, stretches in enumerate(self._stretches):
            enter[:, state] = logsumexp(self._entries(done, state), axis=0)
            done[:, state] = logsumexp(enter[:, state, None] + stretches, axis=0)
        for state in reversed(range(_STATES)):
            further = [ahead[:, state + 1 + skipped] + cost for skipped, cost in _STEPS if state + 1 + skipped < _STATES]
            after[:, state] = logsumexp(further, axis=0) if further else -np.inf
            after[self._count, state] = 0.0
            ahead[:, state] = logsumexp(self._stretches[state] + after[None, :, state], axis=1)
        whole = logsumexp(done[self._count])
        changes = np.zeros((self._count + 1, _STATES))
        for state, stretches in enumerate(self._stretches):
            share = np.exp(enter[:, state, None] + stretches + after[None, :, state] - whole)
            changes[:, state] = share.sum(axis=1) - share.sum(axis=0)
        return np.asarray(np.clip(np.cumsum(changes, axis=0)[:-1], 0, 1))

    def _entries(self, done: NDArray[np.float64], state: int) -> NDArray[np.float64]:
        """Scores of entering a state at each point from the one before and from the one before that, ``(2, k + 1)``.

        A picture may begin with any state.
        """
        found = np.full((len(_STEPS), self._count + 1), -np.inf)
        for skipped, cost in _STEPS:
            if state - 1 - skipped >= 0:
                found[skipped] = done[:, state - 1 - skipped] + cost
        found[:, 0] = (0.0, -np.inf)
        return found


def _of_length(whole: NDArray[np.float64], size: NDArray[np.intp], cut: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log probability that a level takes some points; where the picture cuts it, that it takes as many or more."""
    more = np.logaddexp.accumulate(whole[::-1])[::-1]
    known = (size > 0) & (size <= len(whole))
    index = np.clip(size, 1, len(whole)) - 1
    return np.where(known, np.where(cut, more[index], whole[index]), -np.inf)


def _emissions(evidence: NDArray[np.float64], presence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log likelihood of each state at each point. Where there is no vertebra, it is what lies beyond the spine, or a gap in it."""
    share = evidence / np.maximum(evidence.sum(axis=1, keepdims=True), 1e-9)
    there = np.clip(presence, 0, 1)[:, None]
    levels = there * np.log(np.maximum(share, _LEAST)) + (1 - there) * np.log(0.3)
    nothing = there * np.log(_LEAST) + (1 - there) * np.log(0.9)
    below = np.maximum(levels[:, -1:], nothing)
    return np.concatenate([nothing, levels[:, :-1], below], axis=1)


def _length_scores(step_mm: float) -> list[NDArray[np.float64]]:
    """Log probability of each length in points, from 1 on, of C1..C7."""
    scores = []
    for mean in LENGTHS_MM:
        sizes = np.arange(1, int(_LONGEST * mean / step_mm) + 1) * step_mm
        score = -0.5 * ((sizes - mean) / (_VARIATION * mean)) ** 2
        score[sizes < _SHORTEST * mean] = -np.inf
        scores.append(np.asarray(score - logsumexp(score)))
    return scores
