"""How good scores are, with intervals over patients."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from cspine.evaluation.competition import competition_loss
from cspine.evaluation.scores import StudyScores
from cspine.modelpack import OUTPUTS

Metric = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: On all patients; NaN where it is not defined, as AUROC is without a fracture.
        low: 2.5th percentile over bootstrap samples of patients.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "-" if math.isnan(self.value) else f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


@dataclass(frozen=True, slots=True)
class OutputMetrics:
    """How good one output is.

    Attributes:
        output: ``overall`` or a level.
        patients: How many were judged.
        fractured: How many of them have the fracture.
        estimates: By name: ``auroc``, ``average_precision``, ``sensitivity``, ``specificity``, ``ece``.
    """

    output: str
    patients: int
    fractured: int
    estimates: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a model is on some patients.

    Attributes:
        outputs: Overall and C1..C7.
        mean_level_auroc: Over the levels that can be judged.
        competition_a: RSNA 2022 loss, normalised within each study.
        competition_b: The same, normalised over all studies.
        thresholds: From which probability on an output counts as positive, in the order of the outputs.
    """

    outputs: tuple[OutputMetrics, ...]
    mean_level_auroc: Estimate
    competition_a: Estimate
    competition_b: Estimate
    thresholds: tuple[float, ...]


def auroc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Area under the receiver operating characteristic; NaN where all are alike."""
    if truth.all() or not truth.any():
        return math.nan
    return float(roc_auc_score(truth, scores))


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Average precision; NaN without a fracture."""
    return float(average_precision_score(truth, scores)) if truth.any() else math.nan


def expected_calibration_error(truth: NDArray[np.bool_], probabilities: NDArray[np.float64], bins: int = 10) -> float:
    """Mean distance of probability and frequency over bins of equal width (Naeini, Cooper and Hauskrecht, 2015)."""
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [abs(probabilities[which == b].sum() - truth[which == b].sum()) for b in range(bins)]
    return float(np.sum(gaps) / len(truth))


def mean_level_auroc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Mean of the AUROC of C1..C7, ``(n, 8)`` each, over those that have fractured and whole ones."""
    known = [v for v in (auroc(truth[:, i], scores[:, i]) for i in range(1, truth.shape[1])) if not math.isnan(v)]
    return float(np.mean(known)) if known else math.nan


def evaluate(scores: StudyScores, thresholds: tuple[float, ...], *, resamples: int = RESAMPLES, seed: int = 0) -> Evaluation:
    """Judges calibrated probabilities.

    Args:
        scores: Truth and probabilities.
        thresholds: From where on an output counts as positive.
        resamples: Bootstrap samples of patients.
        seed: Of the bootstrap.
    """
    samples = np.random.default_rng(seed).integers(len(scores), size=(resamples, len(scores)))
    truth, p = scores.truth, scores.scores
    outputs = []
    for i, name in enumerate(OUTPUTS):
        known, said = truth[:, i], p[:, i]
        estimates = {metric: _estimate(known, said, how, samples) for metric, how in _metrics(thresholds[i]).items()}
        outputs.append(OutputMetrics(name, len(scores), int(known.sum()), estimates))
    return Evaluation(
        tuple(outputs),
        _estimate(truth, p, mean_level_auroc, samples),
        _estimate(truth, p, lambda t, q: competition_loss(t, q).per_study, samples),
        _estimate(truth, p, lambda t, q: competition_loss(t, q).overall, samples),
        thresholds,
    )


def _metrics(threshold: float) -> dict[str, Metric]:
    return {
        "auroc": auroc,
        "average_precision": average_precision,
        "sensitivity": lambda t, p: float(np.mean(p[t] >= threshold)) if t.any() else math.nan,
        "specificity": lambda t, p: float(np.mean(p[~t] < threshold)) if not t.all() else math.nan,
        "ece": expected_calibration_error,
    }


def _estimate(truth: NDArray[np.bool_], p: NDArray[np.float64], metric: Metric, samples: NDArray[np.intp]) -> Estimate:
    value = metric(truth, p)
    if math.isnan(value):
        return Estimate(value, value, value)
    drawn = np.array([metric(truth[sample], p[sample]) for sample in samples])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (value, value)
    return Estimate(value, float(low), float(high))
