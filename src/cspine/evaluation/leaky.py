"""Computes what a protocol that is known to be wrong would report: accuracy of entries that are mostly 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LeakyAccuracy:
    """Holds what the wrong protocol reports.

    Attributes:
        slices: How many test slices.
        accuracy: Share of right entries of seven.
        all_negative: The same for predicting that nothing is ever there.
    """

    slices: int
    accuracy: float
    all_negative: float


def entry_accuracy(wanted: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> LeakyAccuracy:
    """Returns the accuracy of what is said of slices, ``(n, 7)`` each."""
    return LeakyAccuracy(len(wanted), float(np.mean(wanted == predicted)), float(np.mean(~wanted)))
