"""Samples which vertebrae of a neck are fractured, as often as in the RSNA 2022 data.

A maximum entropy model of seven levels: ``log p(s) = const + sum h_i s_i + sum J_ij s_i s_j + g(number of levels)``, at most six
levels at once. Its 32 parameters were fitted once, by maximum likelihood, to the published aggregate counts of 2019 studies: 7 of
single levels, 21 of pairs and those of the number of levels. It repeats every one of them within 0.1 of a study (a test computes
this).
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

MOST_LEVELS = 6

ENRICHED_SHARE = 0.5
"""How likely a level of a enriched study is fractured, whatever the others are."""

_SINGLE = np.array([-2.803, -1.823, -3.994, -3.442, -3.369, -2.573, -1.582])
_PAIR = np.array(
    [
        [0, 1.362, -0.244, -1.163, 0.556, -0.851, -0.428],
        [0, 0, 1.076, -0.460, -1.130, -0.560, -0.737],
        [0, 0, 0, 2.213, 0.192, -0.196, -0.458],
        [0, 0, 0, 0, 2.427, -0.831, -0.413],
        [0, 0, 0, 0, 0, 2.425, -0.841],
        [0, 0, 0, 0, 0, 0, 1.570],
        [0, 0, 0, 0, 0, 0, 0],
    ]
)
_NUMBER = np.array([0, 0, 0, 0.411, 1.712, 3.080, 5.474, -np.inf])

PATTERNS: NDArray[np.bool_] = np.array(list(product((False, True), repeat=7)))
"""Every combination of C1..C7, ``(128, 7)``."""


def pattern_probabilities() -> NDArray[np.float64]:
    """Returns how likely each of ``PATTERNS`` is, ``(128,)``."""
    levels = PATTERNS.astype(np.float64)
    log = levels @ _SINGLE + np.einsum("ni,ij,nj->n", levels, _PAIR, levels) + _NUMBER[PATTERNS.sum(axis=1)]
    weight = np.exp(log)
    probabilities: NDArray[np.float64] = weight / weight.sum()
    return probabilities


def sample_levels(rng: np.random.Generator, enriched: float = 0.0) -> tuple[bool, ...]:
    """Returns whether each of C1..C7 is fractured in one study.

    Args:
        rng: Samples it.
        enriched: Probability that the study is fracture-enriched: each level is then fractured with a probability of
            :data:`ENRICHED_SHARE`.
    """
    chosen = int(np.searchsorted(np.cumsum(pattern_probabilities()), rng.random()))
    levels = PATTERNS[min(chosen, len(PATTERNS) - 1)]
    if rng.random() < enriched:
        levels = rng.random(len(levels)) < ENRICHED_SHARE
    return tuple(bool(level) for level in levels)
