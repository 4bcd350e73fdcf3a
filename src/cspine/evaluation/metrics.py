"""Measures how good scores are, with intervals over patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cspine.evaluation.bootstrap import RESAMPLES, Bootstrap, Estimate, Statistic, with_interval
from cspine.evaluation.competition import metric_adjusted
from cspine.evaluation.scores import StudyScores
from cspine.evaluation.weighted import (
    resampled_auroc,
    resampled_calibration_error,
    resampled_level_auroc,
    resampled_loss_overall,
    resampled_loss_per_study,
    resampled_precision,
    resampled_share,
    simulated_calibration_error,
)
from cspine.modelpack import OUTPUTS, OperatingPoint

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OutputMetrics:
    """Describes how good one output is.

    Attributes:
        output: ``overall`` or a level.
        patients: How many were predicted.
        fractured: How many of them have the fracture. An interval needs :data:`cspine.evaluation.bootstrap.LEAST` such, and as many
            intact.
        estimates: By name: ``auroc``, ``average_precision``, ``ece``, ``ece_if_calibrated`` (:func:`calibration_error_if_right`),
            and for each operating point ``sensitivity_NAME`` and ``specificity_NAME``; for a prevalence that the user gives also
            ``ppv_NAME`` and ``npv_NAME``, of the overall output.
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
        fractured_levels: How many levels of all patients are fractured.
        mean_level_auroc: Over the levels that can be scored.
        competition_a: RSNA 2022 loss, normalised within each study.
        competition_b: The same, normalised over all studies.
        competition_b_adjusted: B of what is best submitted where positives weigh double (:func:`.metric_adjusted`).
        points: From which probability on an output counts as positive, by the name of the operating point.
        fitted_overall: ``overall`` from a head that was fitted to the levels, beside that of the most suspicious level;
            ``None`` where there is none.
    """

    outputs: tuple[OutputMetrics, ...]
    fractured_levels: int
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
    return float(resampled_auroc(truth, scores, _once(truth))[0])


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Returns the average precision; NaN without a fracture."""
    return float(resampled_precision(truth, scores, _once(truth))[0])


def expected_calibration_error(truth: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Returns the mean distance of probability and frequency over ten bins of equal width."""
    return float(resampled_calibration_error(truth, probabilities, _once(truth))[0])


def calibration_error_if_right(probabilities: NDArray[np.float64], cases: int, draws: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Returns the calibration error that these probabilities have where each is right: its mean, and 95 % of the draws.

    These patients do not distinguish a network whose own error lies within this range from a calibrated one.

    Args:
        probabilities: Of patients, ``(n,)``.
        cases: How many patients are of the rarer kind; few have no range, as other numbers have none.
        draws: How often fractures are simulated.
        seed: Of the draws.
    """
    simulated = simulated_calibration_error(probabilities, draws, seed)
    return with_interval(float(simulated.mean()), simulated, cases)


def mean_level_auroc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Returns the mean of the AUROC of C1..C7, ``(n, 8)`` each, over those that have both fractured and intact ones."""
    return float(resampled_level_auroc(truth, scores, _once(truth))[0])


def rarer(truth: NDArray[np.bool_]) -> int:
    """Returns how many there are of the rarer kind, fractured or intact, ``(n,)``."""
    return int(min(truth.sum(), (~truth).sum()))


def rarer_of_levels(truth: NDArray[np.bool_]) -> int:
    """Returns the same of the level that has fewest, of those of C1..C7, ``(n, 8)``, that have both kinds; 0 without such."""
    return min((found for level in range(1, truth.shape[1]) if (found := rarer(truth[:, level]))), default=0)


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
    bootstrap = Bootstrap(len(scores), resamples, seed)
    truth, p = scores.truth, scores.scores
    wanted = [_ranking(truth[:, i], p[:, i]) | _at_points(truth[:, i], p[:, i], points, i) for i in range(len(OUTPUTS))]
    if prevalence is not None:
        wanted[0] |= _predictive(truth[:, 0], p[:, 0], points, prevalence)
    any_fracture = rarer(truth[:, 0])
    return Evaluation(
        tuple(_output(name, truth[:, i], p[:, i], wanted[i], bootstrap) for i, name in enumerate(OUTPUTS)),
        int(truth[:, 1:].sum()),
        bootstrap.estimate(partial(resampled_level_auroc, truth, p), rarer_of_levels(truth)),
        bootstrap.estimate(partial(resampled_loss_per_study, truth, p), any_fracture),
        bootstrap.estimate(partial(resampled_loss_overall, truth, p), any_fracture),
        bootstrap.estimate(partial(resampled_loss_overall, truth, metric_adjusted(p)), any_fracture),
        tuple(points),
        _output("overall, fitted", truth[:, 0], fitted_overall, _ranking(truth[:, 0], fitted_overall), bootstrap)
        if fitted_overall is not None
        else None,
    )


def predictive_values(sensitivity: _Numbers, specificity: _Numbers, prevalence: float) -> tuple[_Numbers, _Numbers]:
    """Returns the positive and the negative predictive value for a prevalence of fractures (Bayes); NaN where nobody is such.

    Args:
        sensitivity: Share of the fractured that are flagged, ``(k,)``.
        specificity: Share of the intact that are not, ``(k,)``.
        prevalence: Share of the fractured.
    """
    found, missed = prevalence * sensitivity, prevalence * (1 - sensitivity)
    passed, alarms = (1 - prevalence) * specificity, (1 - prevalence) * (1 - specificity)
    with np.errstate(invalid="ignore"):
        return found / (found + alarms), passed / (passed + missed)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Holds what is measured, and how many cases of the rarer kind it rests on."""

    statistic: Statistic
    cases: int


def _ranking(truth: NDArray[np.bool_], p: _Numbers) -> dict[str, _Wanted]:
    named = {"auroc": resampled_auroc, "average_precision": resampled_precision, "ece": resampled_calibration_error}
    return {name: _Wanted(partial(statistic, truth, p), rarer(truth)) for name, statistic in named.items()}


def _at_points(truth: NDArray[np.bool_], p: _Numbers, points: Sequence[OperatingPoint], output: int) -> dict[str, _Wanted]:
    """Returns sensitivity, which rests on the fractured alone, and specificity, which rests on the intact."""
    found: dict[str, _Wanted] = {}
    for point in points:
        flagged = p >= point.thresholds[output]
        found[f"sensitivity_{point.name}"] = _Wanted(partial(resampled_share, truth, flagged), int(truth.sum()))
        found[f"specificity_{point.name}"] = _Wanted(partial(resampled_share, ~truth, ~flagged), int((~truth).sum()))
    return found


def _predictive(truth: NDArray[np.bool_], p: _Numbers, points: Sequence[OperatingPoint], prevalence: float) -> dict[str, _Wanted]:
    def value(which: int, threshold: float, times: _Numbers) -> _Numbers:
        flagged = p >= threshold
        shares = resampled_share(truth, flagged, times), resampled_share(~truth, ~flagged, times)
        return predictive_values(*shares, prevalence)[which]

    return {
        f"{name}_{point.name}": _Wanted(partial(value, which, point.thresholds[0]), rarer(truth))
        for point in points
        for which, name in enumerate(("ppv", "npv"))
    }


def _output(name: str, truth: NDArray[np.bool_], p: _Numbers, wanted: dict[str, _Wanted], bootstrap: Bootstrap) -> OutputMetrics:
    estimates = {metric: bootstrap.estimate(one.statistic, one.cases) for metric, one in wanted.items()}
    estimates["ece_if_calibrated"] = calibration_error_if_right(p, rarer(truth))
    return OutputMetrics(name, len(truth), int(truth.sum()), estimates)


def _once(truth: NDArray[np.bool_]) -> _Numbers:
    """Returns one sample in which each counts once, ``(1, n)``."""
    return np.ones((1, len(truth)))
