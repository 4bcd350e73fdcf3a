"""The loss of the RSNA 2022 competition, in both normalisations that circulate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LEVEL_WEIGHT, _OVERALL_WEIGHT, _POSITIVE = 1.0, 7.0, 2.0
_SMALLEST = 1e-15

PREVALENCE = np.array([961, 146, 285, 73, 108, 162, 277, 393]) / 2019
"""How often any vertebra and C1..C7 are fractured in the 2019 published labels of RSNA 2022, ``(8,)``."""


@dataclass(frozen=True, slots=True)
class CompetitionLoss:
    """Weighted log loss; the two are never compared with each other.

    Attributes:
        per_study: Normalised within each study, then averaged (A).
        overall: Normalised over all studies at once (B).
    """

    per_study: float
    overall: float


def competition_loss(truth: ArrayLike, probabilities: ArrayLike) -> CompetitionLoss:
    """Returns the loss of probabilities.

    A level weighs 1, ``patient_overall`` 7, and twice as much where it is fractured (RSNA 2022 evaluation page).

    Args:
        truth: Overall and C1..C7, ``(n, 8)``.
        probabilities: In the same order, ``(n, 8)``.
    """
    known, losses = np.asarray(truth, dtype=bool), log_losses(truth, probabilities)
    weights = competition_weights(known)
    weighted = weights * losses
    return CompetitionLoss(
        per_study=float(np.mean(weighted.sum(axis=1) / weights.sum(axis=1))),
        overall=float(weighted.sum() / weights.sum()),
    )


def competition_weights(truth: ArrayLike) -> NDArray[np.float64]:
    """Returns the weight of each output of each study, ``(n, 8)``."""
    known = np.asarray(truth, dtype=bool)
    base = np.full(known.shape[-1], _LEVEL_WEIGHT)
    base[0] = _OVERALL_WEIGHT
    weights: NDArray[np.float64] = base * np.where(known, _POSITIVE, 1.0)
    return weights


def log_losses(truth: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Returns the log loss of each output, calculated and clipped in double precision, since 1 - 1e-15 is 1 in single."""
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _SMALLEST, 1 - _SMALLEST)
    losses: NDArray[np.float64] = -np.where(np.asarray(truth, dtype=bool), np.log(p), np.log1p(-p))
    return losses


def metric_adjusted(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Returns what to submit instead of probabilities where positives weigh double, ``2 p / (1 + p)``: no probability itself."""
    p = np.asarray(probabilities, dtype=np.float64)
    adjusted: NDArray[np.float64] = 2 * p / (1 + p)
    return adjusted
