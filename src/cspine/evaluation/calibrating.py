"""Fits calibration and thresholds to the scores of held-out patients."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from cspine.errors import TrainingError
from cspine.evaluation.scores import StudyScores
from cspine.modelpack import OUTPUTS, Calibration, OperatingPoint
from cspine.modelpack.calibration import logits

_LEAST_SLOPE = 0.05
"""A score that says nothing, or the reverse, gets nearly the same probability everywhere, but keeps its order."""

_LEVELS = len(OUTPUTS) - 1


def fit_calibration(held_out: StudyScores, kind: type[Calibration] = Calibration) -> Calibration:
    """Returns the lines through the logits (Platt, 1999) that make scores of held-out patients probabilities.

    The overall score has a line of its own; ``kind`` says what it is made of. The levels share their slope, and each has
    its intercept, drawn towards the common one: fractures of single levels are too rare for more.

    Raises:
        TrainingError: No patient, or every patient, has a fracture.
    """
    overall = held_out.truth[:, 0]
    if overall.all() or not overall.any():
        raise TrainingError(
            "Calibration needs held-out patients with and without fractures. "
            f"Received {np.count_nonzero(overall)} of {len(overall)} with one. Train on more studies."
        )
    level_slope, level_intercepts = _shared_line(logits(held_out.scores[:, 1:]), held_out.truth[:, 1:])
    by_level = kind((1.0, *([level_slope] * _LEVELS)), (0.0, *level_intercepts)).apply(held_out.scores)
    slope, intercept = _line(logits(by_level[:, :1]), overall)
    return kind((slope, *([level_slope] * _LEVELS)), (intercept, *level_intercepts))


def choose_points(
    truth: NDArray[np.bool_], probabilities: NDArray[np.float64], calibration: Calibration | None = None
) -> tuple[OperatingPoint, ...]:
    """Thresholds of held-out patients' calibrated probabilities.

    ``balanced`` is where sensitivity and specificity sum to most (Youden, 1950), ``rule_out`` the highest threshold with a
    sensitivity of 0.95, ``rule_in`` the lowest with a specificity of 0.95. Levels share their threshold, for the same reason as
    their slope; given the calibration, they share that of the score: a level that is broken more often has a higher probability
    to begin with, and its threshold is as much higher.

    Args:
        truth: Overall and C1..C7, ``(n, 8)``.
        probabilities: In the same order, ``(n, 8)``.
        calibration: From which they come; levels share the threshold of the probability if ``None``.
    """
    own = np.zeros(_LEVELS) if calibration is None else np.array(calibration.intercepts[1:]) - np.mean(calibration.intercepts[1:])
    alike = _moved(probabilities[:, 1:], -own)
    overall, level = _thresholds(truth[:, 0], probabilities[:, 0]), _thresholds(truth[:, 1:].ravel(), alike.ravel())
    return tuple(
        OperatingPoint(name, (overall[name], *(float(one) for one in _moved(np.full(_LEVELS, level[name]), own))))
        for name in ("balanced", "rule_out", "rule_in")
    )


def _moved(probabilities: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns probabilities ``(..., 7)`` whose logits are moved by so much, ``(7,)``; not at all by 0."""
    if not by.any():
        return probabilities
    found: NDArray[np.float64] = 1 / (1 + np.exp(-(logits(probabilities) + by)))
    return found


def _thresholds(known: NDArray[np.bool_], p: NDArray[np.float64]) -> dict[str, float]:
    steps = np.unique(p)
    between = np.concatenate([[steps[0] / 2], (steps[1:] + steps[:-1]) / 2])
    sensitivity = np.array([np.mean(p[known] >= t) for t in between])
    specificity = np.array([np.mean(p[~known] < t) for t in between])
    sensitive, specific = np.flatnonzero(sensitivity >= 0.95), np.flatnonzero(specificity >= 0.95)
    return {
        "balanced": round(float(between[np.argmax(sensitivity + specificity)]), 6),
        "rule_out": round(float(between[sensitive[-1]]), 6),
        "rule_in": round(float(between[specific[0]]) if len(specific) else float(between[-1]), 6),
    }


def _line(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    fitted = LogisticRegression(C=10.0).fit(logits, truth)
    return max(float(fitted.coef_[0, 0]), _LEAST_SLOPE), float(fitted.intercept_[0])


def _shared_line(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, tuple[float, ...]]:
    which = np.tile(np.eye(_LEVELS), (len(logits), 1))
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(np.column_stack([logits.ravel(), which]), truth.ravel())
    slope, own = float(fitted.coef_[0, 0]), fitted.coef_[0, 1:]
    return max(slope, _LEAST_SLOPE), tuple(float(fitted.intercept_[0] + part) for part in own)


def cross_calibrated(held_out: StudyScores, kind: type[Calibration] = Calibration, *, parts: int = 5, seed: int = 0) -> StudyScores:
    """Returns probabilities of held-out patients, each from a calibration that has not seen the patient.

    Raises:
        TrainingError: As :func:`fit_calibration`, for the patients of all parts but one.
    """
    split = parted(held_out, parts, seed)
    if not split:
        return replace(held_out, scores=fit_calibration(held_out, kind).apply(held_out.scores))
    probabilities = np.empty_like(held_out.scores)
    for rest, part in split:
        probabilities[part] = fit_calibration(held_out.some(rest), kind).apply(held_out.scores[part])
    return replace(held_out, scores=probabilities)


def fit_overall(held_out: StudyScores) -> LogisticRegression:
    """Returns a head for any fracture: logistic regression on the logits of the seven levels' probabilities.

    It stands beside the noisy-OR, which a package uses: it may weigh levels, and must learn how from few patients.
    """
    return LogisticRegression(C=0.1).fit(logits(held_out.scores[:, 1:]), held_out.truth[:, 0])


def apply_overall(head: LogisticRegression, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the probability of any fracture, ``(n,)``, from calibrated ones of overall and C1..C7, ``(n, 8)``."""
    found: NDArray[np.float64] = head.predict_proba(logits(probabilities[:, 1:]))[:, 1]
    return found


def cross_fitted_overall(probabilities: StudyScores, parts: int = 5, seed: int = 0) -> NDArray[np.float64]:
    """Returns probabilities of any fracture, ``(n,)``, each from a head of :func:`fit_overall` that has not seen the patient."""
    found = np.empty(len(probabilities))
    every = np.arange(len(probabilities))
    for rest, part in parted(probabilities, parts, seed) or [(every, every)]:
        found[part] = apply_overall(fit_overall(probabilities.some(rest)), probabilities.scores[part])
    return found


def parted(held_out: StudyScores, parts: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Returns pairs of the rest and a part of the patients, each set aside once; none where a part would lack a fracture."""
    overall = held_out.truth[:, 0]
    parts = min(parts, int(overall.sum()), int((~overall).sum()))
    if parts < 2:
        return []
    return list(StratifiedKFold(parts, shuffle=True, random_state=seed).split(held_out.scores, overall))
