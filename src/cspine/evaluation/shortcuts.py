"""Measures whether fractures are predicted from what has nothing to do with them: how long a scan is, how wide, which way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cspine.evaluation.bootstrap import RESAMPLES, Bootstrap, Estimate
from cspine.evaluation.metrics import rarer
from cspine.evaluation.scores import StudyScores
from cspine.evaluation.weighted import resampled_auroc, resampled_rank_correlation


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A trait of scans that must not predict fractures.

    Attributes:
        trait: Its name.
        trait_auroc: AUROC of any fracture by the trait alone; 0.5 is uninformative. What the data set gives away.
        rank_correlation: Spearman's correlation of the trait with the probability of any fracture among intact studies; 0 where the
            model does not follow it. NaN where the trait is the same everywhere.
    """

    trait: str
    trait_auroc: Estimate
    rank_correlation: Estimate


def shortcuts(
    scores: StudyScores, traits: Mapping[str, NDArray[np.float64]], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Shortcut]:
    """Returns how well each trait predicts fractures, and whether the model follows it.

    Args:
        scores: Truth and probabilities.
        traits: By name, one number for each study, ``(n,)``.
        resamples: Bootstrap samples of patients.
        seed: Of the bootstrap.
    """
    overall, predicted = scores.truth[:, 0], scores.scores[:, 0]
    intact = ~overall
    everyone, others = Bootstrap(len(scores), resamples, seed), Bootstrap(max(int(intact.sum()), 1), resamples, seed)
    found = []
    for name, values in traits.items():
        rank_correlation = Estimate(math.nan, math.nan, math.nan)
        if intact.any():
            rank_correlation = others.estimate(
                partial(resampled_rank_correlation, values[intact], predicted[intact]), int(intact.sum())
            )
        found.append(Shortcut(name, everyone.estimate(partial(resampled_auroc, overall, values), rarer(overall)), rank_correlation))
    return found
