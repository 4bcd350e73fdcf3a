"""Gives numbers their intervals: the bootstrap over patients, and the rule of when there are too few for one."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000

LEAST = 5
"""Cases of a kind, fractured or intact, that a number with an interval rests on at least.

Of four, one sample in 55 has none at all, and the interval says more of the four than of other patients.
"""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""What is measured: takes how often each patient counts, ``(k, patients)``, and returns a number for each sample, ``(k,)``."""

_BLOCK = 128
"""Samples that are measured at once: memory does not grow with their number."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: On all patients; NaN where it is not defined, as AUROC is without a fracture.
        low: 2.5th percentile over bootstrap samples of patients; NaN where there are too few patients for an interval.
        high: 97.5th percentile, or NaN as above.
    """

    value: float
    low: float
    high: float

    @property
    def has_interval(self) -> bool:
        """Returns whether there are enough patients for an interval."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})" if self.has_interval else f"{self.value:.3f} (too few)"


class Bootstrap:
    """Samples of patients, with replacement; one set for all numbers, so that differences can be paired.

    Attributes:
        times: How often each patient is in each sample, ``(resamples, patients)``.
    """

    times: NDArray[np.float64]

    def __init__(self, patients: int, resamples: int = RESAMPLES, seed: int = 0) -> None:
        samples = np.random.default_rng(seed).integers(patients, size=(resamples, patients))
        numbered = samples + patients * np.arange(resamples)[:, None]
        self.times = np.bincount(numbered.ravel(), minlength=samples.size).reshape(samples.shape).astype(np.float64)

    def estimate(self, statistic: Statistic, cases: int) -> Estimate:
        """Returns a number for all patients, with its interval where there are enough.

        Args:
            statistic: What is measured.
            cases: How many cases of the rarer kind it rests on, as AUROC does on fractured and intact patients.
        """
        return with_interval(self.value(statistic), self.resampled(statistic), cases)

    def value(self, statistic: Statistic) -> float:
        """Returns the number for all patients."""
        return float(statistic(np.ones((1, self.times.shape[1])))[0])

    def resampled(self, statistic: Statistic) -> NDArray[np.float64]:
        """Returns the number for every sample, ``(resamples,)``."""
        blocks = range(0, len(self.times), _BLOCK)
        return np.concatenate([statistic(self.times[begin : begin + _BLOCK]) for begin in blocks])


def with_interval(value: float, resampled: NDArray[np.float64], cases: int) -> Estimate:
    """Returns a number with its interval where it can have one.

    It has none with fewer than :data:`LEAST` cases of a kind, nor where every sample gives the same number: a classifier that
    makes no mistake on ten patients may make some on others, and their bootstrap cannot tell how many.

    Args:
        value: On all patients.
        resampled: On samples of patients; NaN among those is left out.
        cases: How many cases of the rarer kind it rests on.
    """
    found = interval(value, resampled)
    return found if cases >= LEAST and found.low < found.high else Estimate(value, math.nan, math.nan)


def interval(value: float, resampled: NDArray[np.float64]) -> Estimate:
    """Returns a number with the range of 95 % of what samples of patients gave; NaN among those is left out."""
    known = resampled[np.isfinite(resampled)]
    if math.isnan(value) or not len(known):
        return Estimate(value, math.nan, math.nan)
    low, high = np.percentile(known, [2.5, 97.5])
    return Estimate(value, float(low), float(high))
