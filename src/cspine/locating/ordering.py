"""The order of the vertebrae along the spine: which stretch is which level, and how sure that is.

A hidden semi-Markov model (Ferguson, 1980): along the line, from the head, there is nothing or skull, then C1 to C7, each for about
as long as it is in life, then other vertebrae or nothing. What the network says of each stretch, the order, and the lengths
decide together; so one cluster of wrong voxels cannot shift the count, and where nothing anchors it all ways to count stay
about as likely.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from cspine.anatomy import CERVICAL

LENGTHS_MM = np.array([13.0, 21.0, 17.0, 16.5, 16.5, 17.0, 18.5])
"""How much of the line C1..C7 take: half of the distances to their neighbours; C2 with most of its dens."""

_VARIATION = 0.22
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

_SKIP = float(np.log(1e-3))
"""A level that a neck lacks."""


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
        """How sure the name of each stretch is, 0..1, ``(7,)``; 0 where the level is not there."""
        found = np.zeros(_LEVELS)
        for i, (first, last) in enumerate(zip(self.first, self.last, strict=True)):
            if first >= 0:
                found[i] = self.probabilities[first : last + 1, i + 1].mean()
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
    """Scores of stretches, and sums and maxima over all ways to lay them one after the other."""

    def __init__(self, emission: NDArray[np.float64], lengths: list[NDArray[np.float64]]) -> None:
        self._count = len(emission)
        self._total = np.vstack([np.zeros(_STATES), np.cumsum(emission, axis=0)])
        self._lengths = lengths
        self._cut = [np.logaddexp.accumulate(whole[::-1])[::-1] for whole in lengths]

    def likeliest(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last point of C1..C7 on the best way."""
        best = np.full((self._count + 1, _STATES), -np.inf)
        came: dict[tuple[int, int], tuple[int, int]] = {}
        for state, end in self._ends():
            begins = self._begins(state, end)
            entries = [self._entries(best, state, begin) for begin in begins]
            scores = np.array([max(entry.values(), default=-np.inf) for entry in entries]) + self._stretches(state, begins, end)
            top = int(np.argmax(scores))
            best[end, state] = scores[top]
            if np.isfinite(scores[top]):
                came[end, state] = begins[top], max(entries[top], key=entries[top].__getitem__)
        first, last = (np.full(_LEVELS, -1, dtype=np.intp) for _ in range(2))
        end, state = self._count, int(np.argmax(best[self._count]))
        while end:
            begin, before = came[end, state]
            if 0 < state <= _LEVELS:
                first[state - 1], last[state - 1] = begin, end - 1
            end, state = begin, before
        return first, last

    def probabilities(self) -> NDArray[np.float64]:
        """How likely each point is in each state, ``(k, 9)``."""
        enter, done = self._forward()
        after = self._backward()
        whole = logsumexp(done[self._count])
        steps = np.zeros((self._count + 1, _STATES))
        for state, end in self._ends():
            begins = self._begins(state, end)
            scores = enter[begins, state] + self._stretches(state, begins, end) + after[end, state] - whole
            share = np.exp(scores)
            steps[begins, state] += share
            steps[end, state] -= share.sum()
        return np.asarray(np.clip(np.cumsum(steps, axis=0)[:-1], 0, 1))

    def _forward(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log sums over ways to a begin of each state, and to an end of it, ``(k + 1, 9)`` each."""
        enter, done = (np.full((self._count + 1, _STATES), -np.inf) for _ in range(2))
        for state, end in self._ends():
            begins = self._begins(state, end)
            for begin in begins:
                if enter[begin, state] == -np.inf:
                    enter[begin, state] = logsumexp([-np.inf, *self._entries(done, state, begin).values()])
            done[end, state] = logsumexp(enter[begins, state] + self._stretches(state, begins, end))
        return enter, done

    def _backward(self) -> NDArray[np.float64]:
        """Log sums over ways on from an end of each state, ``(k + 1, 9)``."""
        after = np.full((self._count + 1, _STATES), -np.inf)
        after[self._count] = 0.0
        for state in reversed(range(_STATES)):
            for begin in reversed(range(1, self._count)):
                ways = [-np.inf]
                for further, cost in ((state + 1, 0.0), (state + 2, _SKIP)):
                    if further < _STATES:
                        ends = self._ends_from(further, begin)
                        stretches = np.array([self._stretches(further, np.array([begin]), end)[0] for end in ends])
                        ways.append(cost + logsumexp(stretches + after[ends, further]) if len(ends) else -np.inf)
                after[begin, state] = logsumexp(ways)
        return after

    def _ends(self) -> Iterator[tuple[int, int]]:
        """Every state and where it may end; what a state is entered from comes before it."""
        return ((state, end) for state in range(_STATES) for end in range(1, self._count + 1))

    def _longest(self, state: int) -> int:
        return len(self._lengths[state - 1]) if 0 < state <= _LEVELS else self._count

    def _begins(self, state: int, end: int) -> NDArray[np.intp]:
        return np.arange(max(0, end - self._longest(state)), end)

    def _ends_from(self, state: int, begin: int) -> NDArray[np.intp]:
        return np.arange(begin + 1, min(self._count, begin + self._longest(state)) + 1)

    def _entries(self, done: NDArray[np.float64], state: int, begin: int) -> dict[int, float]:
        """Scores of entering a state at a point, by the state before; the picture may begin with any, -1."""
        if begin == 0:
            return {-1: 0.0}
        return {before: float(done[begin, before]) + cost for before, cost in ((state - 1, 0.0), (state - 2, _SKIP)) if before >= 0}

    def _stretches(self, state: int, begins: NDArray[np.intp], end: int) -> NDArray[np.float64]:
        """Log likelihood of a state from each of some points up to another, and of its length."""
        seen = self._total[end, state] - self._total[begins, state]
        if not 0 < state <= _LEVELS:
            return np.asarray(seen)
        sizes = end - begins - 1
        cut = (begins == 0) | (end == self._count)
        return np.asarray(seen + np.where(cut, self._cut[state - 1][sizes], self._lengths[state - 1][sizes]))


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
