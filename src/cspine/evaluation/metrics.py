"""Measures how good scores are, with intervals over patients."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from cspine.evaluation.competition import competition_loss, metric_adjusted
from cspine.evaluation.scores import StudyScores
from cspine.modelpack import OUTPUTS, OperatingPoint

Metric = Callable[[NDArray[Any], NDArray[np.float64]], float]

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
    """Describes how good one output is.

    Attributes:
        output: ``overall`` or a level.
        patients: How many were predicted.
        fractured: How many of them have the fracture.
        estimates: By name: ``auroc``, ``average_precision``, ``ece``, and for each operating point ``sensitivity_NAME`` and
            ``specificity_NAME``; for a prevalence that the user gives also ``ppv_NAME`` and ``npv_NAME``, of the overall output.
    """

    output: str
    patients: int
    fractured: int
    estimates: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Describes how good a model is on some patients.

    Attributes:
        outputs: Overall and C1..C7.
        mean_level_auroc: Over the levels that can be scored.
        competition_a: RSNA 2022 loss, normalised within each study.
        competition_b: The same, normalised over all studies.
        competition_b_adjusted: B of what is best submitted where positives weigh double (:func:`.metric_adjusted`).
        points: From which probability on an output counts as positive, by the name of the operating point.
        fitted_overall: ``overall`` from a head that was fitted to the levels, beside that of the most suspicious level;
            ``None`` where there is none.
    """

    outputs: tuple[OutputMetrics, ...]
    mean_level_auroc: Estimate
    competition_a: Estimate
    competition_b: Estimate
    competition_b_adjusted: Estimate
    points: tuple[OperatingPoint, ...]
    fitted_overall: OutputMetrics | None = None

    @property
    def of_all(self) -> dict[str, Estimate]:
        """Returns what is said of all outputs together, by name."""
        return {
            "mean_level_auroc": self.mean_level_auroc,
            "competition_loss_a": self.competition_a,
            "competition_loss_b": self.competition_b,
            "competition_loss_b_adjusted": self.competition_b_adjusted,
        }


def auroc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Returns the area under the receiver operating characteristic; NaN where all are alike."""
    if truth.all() or not truth.any():
        return math.nan
    return float(roc_auc_score(truth, scores))


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Returns the average precision; NaN without a fracture."""
    return float(average_precision_score(truth, scores)) if truth.any() else math.nan


def expected_calibration_error(truth: NDArray[np.bool_], probabilities: NDArray[np.float64], bins: int = 10) -> float:
    """Returns the mean distance of probability and frequency over bins of equal width (Naeini, Cooper and Hauskrecht, 2015)."""
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [abs(probabilities[which == b].sum() - truth[which == b].sum()) for b in range(bins)]
    return float(np.sum(gaps) / len(truth))


def mean_level_auroc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Returns the mean of the AUROC of C1..C7, ``(n, 8)`` each, over those that have both fractured and intact ones."""
    known = [v for v in (auroc(truth[:, i], scores[:, i]) for i in range(1, truth.shape[1])) if not math.isnan(v)]
    return float(np.mean(known)) if known else math.nan


def evaluate(
    scores: StudyScores,
    points: Sequence[OperatingPoint],
    fitted_overall: NDArray[np.float64] | None = None,
    *,
    prevalence: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Evaluates calibrated probabilities.

    Args:
        scores: Truth and probabilities.
        points: From where on an output counts as positive.
        fitted_overall: Probability of any fracture from a fitted head, ``(n,)``.
        prevalence: Share of fractured patients where predictive values are wanted, 0..1; no such values if ``None``.
        resamples: Bootstrap samples of patients.
        seed: Of the bootstrap.
    """
    draw = Bootstrap(len(scores), resamples, seed)
    truth, p = scores.truth, scores.scores
    wanted = [_metrics(points, i) for i in range(len(OUTPUTS))]
    if prevalence is not None:
        wanted[0] |= _predictive(points, prevalence)
    return Evaluation(
        tuple(_output(name, truth[:, i], p[:, i], wanted[i], draw) for i, name in enumerate(OUTPUTS)),
        draw.estimate(truth, p, mean_level_auroc),
        draw.estimate(truth, p, lambda t, q: competition_loss(t, q).per_study),
        draw.estimate(truth, p, lambda t, q: competition_loss(t, q).overall),
        draw.estimate(truth, p, lambda t, q: competition_loss(t, metric_adjusted(q)).overall),
        tuple(points),
        _output("overall, fitted", truth[:, 0], fitted_overall, _RANKING, draw) if fitted_overall is not None else None,
    )


class Bootstrap:
    """Samples of patients, with replacement; one set for all metrics, so that differences can be paired."""

    def __init__(self, patients: int, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.samples = np.random.default_rng(seed).integers(patients, size=(resamples, patients))

    def estimate(self, truth: NDArray[Any], p: NDArray[np.float64], metric: Metric) -> Estimate:
        """Returns a metric of all patients, and its interval."""
        return interval(metric(truth, p), self.drawn(truth, p, metric))

    def drawn(self, truth: NDArray[Any], p: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
        """Returns the metric of every sample, ``(resamples,)``."""
        return np.array([metric(truth[sample], p[sample]) for sample in self.samples])


def interval(value: float, drawn: NDArray[np.float64]) -> Estimate:
    """Returns a number with its 95 % interval, from what samples of patients gave; NaN among those is left out."""
    if math.isnan(value):
        return Estimate(value, value, value)
    known = drawn[np.isfinite(drawn)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (value, value)
    return Estimate(value, float(low), float(high))


def sensitivity(truth: NDArray[np.bool_], p: NDArray[np.float64], threshold: float) -> float:
    """Returns the share of the fractured that reach a threshold; NaN without a fracture."""
    return float(np.mean(p[truth] >= threshold)) if truth.any() else math.nan


def specificity(truth: NDArray[np.bool_], p: NDArray[np.float64], threshold: float) -> float:
    """Returns the share of the intact that stay below a threshold; NaN where nothing is intact."""
    return float(np.mean(p[~truth] < threshold)) if not truth.all() else math.nan


def positive_predictive_value(truth: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, prevalence: float) -> float:
    """Returns the share of the fractured among those at a threshold or above, for a ``prevalence`` of fractures (Bayes)."""
    found = prevalence * sensitivity(truth, p, threshold)
    alarms = (1 - prevalence) * (1 - specificity(truth, p, threshold))
    return found / (found + alarms) if found + alarms > 0 else math.nan


def negative_predictive_value(truth: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, prevalence: float) -> float:
    """Returns the share of the intact among those below a threshold, for a ``prevalence`` of fractures (Bayes)."""
    passed = (1 - prevalence) * specificity(truth, p, threshold)
    missed = prevalence * (1 - sensitivity(truth, p, threshold))
    return passed / (passed + missed) if passed + missed > 0 else math.nan


def _predictive(points: Sequence[OperatingPoint], prevalence: float) -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    for point in points:
        for name, value in (("ppv", positive_predictive_value), ("npv", negative_predictive_value)):
            found[f"{name}_{point.name}"] = partial(value, threshold=point.thresholds[0], prevalence=prevalence)
    return found


_RANKING: dict[str, Metric] = {"auroc": auroc, "average_precision": average_precision, "ece": expected_calibration_error}


def _metrics(points: Sequence[OperatingPoint], output: int) -> dict[str, Metric]:
    found = dict(_RANKING)
    for point in points:
        found[f"sensitivity_{point.name}"] = partial(sensitivity, threshold=point.thresholds[output])
        found[f"specificity_{point.name}"] = partial(specificity, threshold=point.thresholds[output])
    return found


def _output(
    name: str, truth: NDArray[np.bool_], p: NDArray[np.float64], metrics: dict[str, Metric], draw: Bootstrap
) -> OutputMetrics:
    estimates = {metric: draw.estimate(truth, p, how) for metric, how in metrics.items()}
    return OutputMetrics(name, len(truth), int(truth.sum()), estimates)
