"""Finds where along a stack each level lies, given that vertebrae lie in order.

A slice network may take a lumbar vertebra for a cervical one. Vertebrae, however, follow each other without gaps. So every slice
is given one state, from feet to head: below the neck, C7 .. C1, above it (:class:`cspine.level_order.OrderModel`, without lengths,
as slices may be any distance apart). The likelihood of a state is the visibility of its level, that of the two outer ones the
absence of all levels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.level_order import STATES, OrderModel

_DOUBT = 0.02
"""No output of a network is believed to be surer than this."""

_SEEN = 0.1
"""From this visibility in its best slice on, a level has slices of its own."""

_SKIPPED = 0.1
"""How likely it is that a level on the way is not seen at all."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceOrder:
    """The stretch of slices in which each level may be looked for.

    Attributes:
        first: First slice of each level's stretch, C1..C7, ``(7,)``.
        last: Last slice, included, ``(7,)``.
        found: Whether the level has slices of its own, ``(7,)``.
    """

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    found: NDArray[np.bool_]


def order_of(visible: NDArray[np.float64]) -> SliceOrder:
    """Returns the likeliest order of C1..C7 in a stack.

    A level that has slices of its own may be looked for there and in the adjoining slices in which it stays visible; one that has
    none, between the middles of its neighbours, or beyond the outermost level by twice the length of that one.

    Args:
        visible: How much of C1..C7 is in each slice, 0..1, ``(n, 7)``, slices from feet to head.
    """
    count, levels = visible.shape
    upward = visible[:, ::-1]
    states = OrderModel(_log_likelihood(upward), [None] * STATES, float(np.log(_SKIPPED)), levels).best_path()
    own = [_seen(np.flatnonzero(states == level + 1), upward[:, level]) for level in range(levels)]
    first, last = np.zeros(levels, dtype=np.intp), np.full(levels, count - 1, dtype=np.intp)
    for level, slices in enumerate(own):
        if len(slices):
            first[level], last[level] = _grown(upward[:, level], int(slices[0]), int(slices[-1]))
        else:
            first[level], last[level] = _between(own[:level], own[level + 1 :], count)
    found = np.array([len(slices) > 0 for slices in own])
    return SliceOrder(first[::-1], last[::-1], found[::-1])


def _log_likelihood(upward: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the log likelihood of the nine states in each slice, ``(n, 9)``."""
    outside = 1 - upward.max(axis=1, keepdims=True)
    likelihood: NDArray[np.float64] = np.log(np.maximum(np.hstack([outside, upward, outside]), _DOUBT))
    return likelihood


def _seen(slices: NDArray[np.intp], visible: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns the slices of a state, none where the state only bridges a gap between two levels."""
    return slices if len(slices) and visible[slices].max() >= _SEEN else slices[:0]


def _grown(visible: NDArray[np.float64], first: int, last: int) -> tuple[int, int]:
    """Returns a stretch with the adjoining slices in which the level stays at least half as visible as at its best there."""
    enough = visible[first : last + 1].max() / 2
    while first > 0 and visible[first - 1] >= enough:
        first -= 1
    while last < len(visible) - 1 and visible[last + 1] >= enough:
        last += 1
    return first, last


def _between(below: list[NDArray[np.intp]], above: list[NDArray[np.intp]], count: int) -> tuple[int, int]:
    """Returns the slices between the nearest levels below and above that have slices of their own."""
    lower = next((slices for slices in reversed(below) if len(slices)), None)
    upper = next((slices for slices in above if len(slices)), None)
    first, last = 0, count - 1
    if upper is not None:
        last = int(upper[len(upper) // 2])
        first = max(0, int(upper[0]) - 2 * len(upper))
    if lower is not None:
        first = int(lower[len(lower) // 2])
        last = last if upper is not None else min(count - 1, int(lower[-1]) + 2 * len(lower))
    return first, last
