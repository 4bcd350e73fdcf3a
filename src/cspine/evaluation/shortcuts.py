"""Measures whether fractures are told by what has nothing to do with them: how long a scan is, how wide, which way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cspine.evaluation.metrics import RESAMPLES, Bootstrap, Estimate, auroc
from cspine.evaluation.scores import StudyScores


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A trait of scans that must tell nothing.

    Attributes:
        trait: Its name.
        tells: AUROC of any fracture by the trait alone; 0.5 tells nothing. What the data set gives away.
        followed: Spearman's correlation of the trait with the probability of any fracture among intact studies; 0 where the model
            does not follow it. NaN where the trait is the same everywhere.
    """

    trait: str
    tells: Estimate
    followed: Estimate


def shortcuts(
    scores: StudyScores, traits: Mapping[str, NDArray[np.float64]], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Shortcut]:
    """Returns what each trait tells, and whether the model follows it.

    Args:
        scores: Truth and probabilities.
        traits: By name, one number for each study, ``(n,)``.
        resamples: Bootstrap samples of patients.
        seed: Of the bootstrap.
    """
    overall, said = scores.truth[:, 0], scores.scores[:, 0]
    every, whole = Bootstrap(len(scores), resamples, seed), Bootstrap(max(int((~overall).sum()), 1), resamples, seed)
    found = []
    for name, values in traits.items():
        followed = Estimate(math.nan, math.nan, math.nan)
        if not overall.all():
            followed = whole.estimate(values[~overall], said[~overall], _rank_correlation)
        found.append(Shortcut(name, every.estimate(overall, values, auroc), followed))
    return found


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
