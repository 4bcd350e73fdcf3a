"""The order of the vertebrae: a left-to-right hidden semi-Markov model (Ferguson, 1980) of what lies beside C1..C7 and of each.

States follow one another along a stack of slices or a line through the spine, and never go back. Each point has a log likelihood
under each state; a state may have a distribution of lengths; states may be skipped at a price. Both the slices of a network and the
centreline of a localiser are put in order by it, each from likelihoods of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL

STATES = len(CERVICAL) + 2
"""What lies before the levels, the seven levels, what lies behind them."""


@dataclass(frozen=True, slots=True, eq=False)
class OrderModel:
    """A left-to-right hidden semi-Markov model of one sequence.

    A sequence may begin and end within any state.

    Attributes:
        emissions: Log likelihood of each point under each state, ``(k, 9)``.
        lengths: Log probability of each length in points, from 1 on, of each of the nine states; ``None`` where every length is as
            likely. A state that an end of the sequence cuts may be longer than what is seen of it.
        skip: Log probability of skipping one state.
        most_skipped: States that may be skipped in a row.
    """

    emissions: NDArray[np.float64]
    lengths: Sequence[NDArray[np.float64] | None]
    skip: float
    most_skipped: int

    def best_path(self) -> NDArray[np.intp]:
        """Returns the state of each point on the likeliest path (Viterbi, 1967), ``(k,)``."""
        count, segments = len(self.emissions), self._segments()
        done = np.full((count + 1, STATES), -np.inf)
        begins = np.zeros((count + 1, STATES), np.intp)
        for state, segment in enumerate(segments):
            scores = self._entries(done, state).max(axis=0)[:, None] + segment
            begins[:, state], done[:, state] = np.argmax(scores, axis=0), scores.max(axis=0)
        path = np.empty(count, np.intp)
        end, state = count, int(np.argmax(done[count]))
        while end:
            begin = int(begins[end, state])
            path[begin:end] = state
            end, state = begin, state - 1 - int(np.argmax(self._entries(done, state)[:, begin]))
        return path

    def probabilities(self) -> NDArray[np.float64]:
        """Returns the probability of each state at each point, over all paths, ``(k, 9)``."""
        count, segments = len(self.emissions), self._segments()
        enter, done, after, ahead = (np.full((count + 1, STATES), -np.inf) for _ in range(4))
        for state, segment in enumerate(segments):
            enter[:, state] = _log_sum(self._entries(done, state), axis=0)
            done[:, state] = _log_sum(enter[:, state, None] + segment, axis=0)
        for state in reversed(range(STATES)):
            further = range(min(self.most_skipped + 1, STATES - 1 - state))
            if further:
                after[:, state] = _log_sum(np.stack([ahead[:, state + 1 + n] + n * self.skip for n in further]), axis=0)
            after[count, state] = 0.0
            ahead[:, state] = _log_sum(segments[state] + after[None, :, state], axis=1)
        whole = _log_sum(done[count], axis=0)
        changes = np.zeros((count + 1, STATES))
        for state, segment in enumerate(segments):
            share = np.exp(enter[:, state, None] + segment + after[None, :, state] - whole)
            changes[:, state] = share.sum(axis=1) - share.sum(axis=0)
        return np.asarray(np.clip(np.cumsum(changes, axis=0)[:-1], 0, 1))

    def _segments(self) -> list[NDArray[np.float64]]:
        """Returns the log likelihood of each state from one point up to another, with its length, ``(k + 1, k + 1)`` each."""
        count = len(self.emissions)
        total = np.vstack([np.zeros(STATES), np.cumsum(self.emissions, axis=0)])
        begin, end = np.indices((count + 1, count + 1))
        size, cut = end - begin, (begin == 0) | (end == count)
        segments = []
        for state, lengths in enumerate(self.lengths):
            scores = np.where(size > 0, total[end, state] - total[begin, state], -np.inf)
            if lengths is not None:
                scores += _of_length(lengths, size, cut)
            segments.append(scores)
        return segments

    def _entries(self, done: NDArray[np.float64], state: int) -> NDArray[np.float64]:
        """Returns the score of entering a state at each point, by how many states were skipped, ``(most_skipped + 1, k + 1)``."""
        found = np.full((self.most_skipped + 1, len(done)), -np.inf)
        for skipped in range(min(self.most_skipped + 1, state)):
            found[skipped] = done[:, state - 1 - skipped] + skipped * self.skip
        found[0, 0], found[1:, 0] = 0.0, -np.inf
        return found


def _of_length(whole: NDArray[np.float64], size: NDArray[np.intp], cut: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns the log probability that a state takes some points; where an end cuts it, that it takes as many or more."""
    more = np.logaddexp.accumulate(whole[::-1])[::-1]
    known = (size > 0) & (size <= len(whole))
    index = np.clip(size, 1, len(whole)) - 1
    return np.where(known, np.where(cut, more[index], whole[index]), -np.inf)


def _log_sum(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Returns the logarithm of a sum of exponentials; minus infinity where nothing is finite."""
    top = values.max(axis=axis, keepdims=True)
    finite = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(values - finite).sum(axis=axis)) + np.squeeze(finite, axis=axis))
