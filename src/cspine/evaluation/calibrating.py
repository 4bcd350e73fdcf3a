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

LEAST_CALIBRATED = 10
"""Studies of either kind, fractured and intact, that a calibration is fitted to at least: fewer do not tell a line from chance."""

LEAST_AT_POINTS = 19
"""The same for thresholds: with fewer none has an expected share of 0.05 on its wrong side, as 1 / (n + 1) is more."""

_WRONG = 0.05
"""Share of fractured studies that ``rule_out`` may miss, and of others that ``rule_in`` may flag."""

_ROUNDING = 1e-9


def fit_calibration(held_out: StudyScores) -> Calibration:
    """Returns the lines through the logits (Platt, 1999) that make scores of held-out patients probabilities.

    The line of any fracture is fitted to the highest probability of a level. The levels share their slope, and each has its
    intercept, drawn towards the common one: fractures of single levels are too rare for more.

    Raises:
        TrainingError: Fewer than :data:`LEAST_CALIBRATED` patients have a fracture, or have none.
    """
    refuse_too_few(held_out.truth[:, 0], "Calibration needs", LEAST_CALIBRATED)
    return _fitted(held_out)


def refuse_too_few(fractured: NDArray[np.bool_], needs: str, least: int) -> None:
    """Refuses patients from whom nothing can be fitted.

    Args:
        fractured: Whether each has a fracture, ``(n,)``.
        needs: What needs more, in words.
        least: How many of either kind are needed.

    Raises:
        TrainingError: There are fewer.
    """
    broken, intact = int(fractured.sum()), int((~fractured).sum())
    if min(broken, intact) < least:
        raise TrainingError(
            f"{needs} {least} studies with a fracture and {least} without that the networks were not trained on. "
            f"Received {broken} and {intact}. Run `cspine calibrate` with a larger data set."
        )


def _fitted(held_out: StudyScores) -> Calibration:
    overall = held_out.truth[:, 0]
    level_slope, level_intercepts = _shared_line(logits(held_out.scores[:, 1:]), held_out.truth[:, 1:])
    calibration = Calibration((1.0, *([level_slope] * _LEVELS)), (0.0, *level_intercepts))
    highest = calibration.apply(held_out.scores)[:, 1:].max(axis=1, keepdims=True)
    slope, intercept = _line(logits(highest), overall)
    return Calibration((slope, *([level_slope] * _LEVELS)), (intercept, *level_intercepts))


def choose_points(
    truth: NDArray[np.bool_], probabilities: NDArray[np.float64], calibration: Calibration | None = None
) -> tuple[OperatingPoint, ...]:
    """Returns thresholds of held-out patients' calibrated probabilities: ``balanced``, ``rule_out`` and ``rule_in``.

    A level is flagged from one probability on, whichever it is, and a study when one of its levels is. ``balanced`` is where the
    sensitivity and specificity for studies sum to most (Youden, 1950), of several such thresholds the highest. ``rule_out`` is the
    highest threshold, up to that one, that leaves a share of 0.05 of fractured studies unflagged at most, ``rule_in`` the lowest,
    from that one on, that flags as few of the others; both with the correction for finite numbers that makes this the expected
    share of new studies (Vovk et al., 2005).

    Args:
        truth: Overall and C1..C7, ``(n, 8)``.
        probabilities: In the same order, ``(n, 8)``.
        calibration: From which they come. Without one, the threshold of the study is chosen to flag as many studies as have a
            flagged level.

    Raises:
        TrainingError: Fewer than :data:`LEAST_AT_POINTS` patients have a fracture, or have none.
    """
    refuse_too_few(truth[:, 0], "Thresholds need", LEAST_AT_POINTS)
    highest = probabilities[:, 1:].max(axis=1)
    return tuple(
        OperatingPoint(name, (_study_threshold(level, probabilities, calibration), *([level] * _LEVELS)))
        for name, level in _thresholds(truth[:, 0], highest).items()
    )


def _study_threshold(level: float, probabilities: NDArray[np.float64], calibration: Calibration | None) -> float:
    """Returns the probability of any fracture that goes with that of a level."""
    if calibration is not None:
        return float(calibration.any_fracture(level))
    flagged = np.count_nonzero(probabilities[:, 1:].max(axis=1) >= level)
    falling = np.sort(probabilities[:, 0])[::-1]
    around = [falling[flagged - 1] if flagged else 1.0, falling[flagged] if flagged < len(falling) else 0.0]
    return float(np.mean(around))


def _thresholds(fractured: NDArray[np.bool_], highest: NDArray[np.float64]) -> dict[str, float]:
    """Returns the threshold of a level by operating point, of studies' highest probabilities, ``(n,)``."""
    steps = np.unique(highest)
    between = np.concatenate([[steps[0] / 2], (steps[1:] + steps[:-1]) / 2, [(steps[-1] + 1) / 2]])
    missed = np.array([np.count_nonzero(highest[fractured] < t) for t in between])
    alarms = np.array([np.count_nonzero(highest[~fractured] >= t) for t in between])
    wrong = missed / np.count_nonzero(fractured) + alarms / np.count_nonzero(~fractured)
    balanced = int(np.flatnonzero(wrong <= wrong.min() + _ROUNDING)[-1])
    few_missed = np.flatnonzero(missed <= _allowed(int(fractured.sum())))
    few_alarms = np.flatnonzero(alarms <= _allowed(int((~fractured).sum())))
    chosen = {
        "balanced": balanced,
        "rule_out": min(balanced, int(few_missed[-1])),
        "rule_in": max(balanced, int(few_alarms[0])),
    }
    return {name: float(between[index]) for name, index in chosen.items()}


def _allowed(studies: int) -> int:
    """Returns how many of so many studies, 19 or more, may be on the wrong side for an expected share of 0.05 of new ones."""
    return int(_WRONG * (studies + 1) + _ROUNDING) - 1


def _line(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    fitted = LogisticRegression(C=10.0).fit(logits, truth)
    return max(float(fitted.coef_[0, 0]), _LEAST_SLOPE), float(fitted.intercept_[0])


def _shared_line(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, tuple[float, ...]]:
    which = np.tile(np.eye(_LEVELS), (len(logits), 1))
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(np.column_stack([logits.ravel(), which]), truth.ravel())
    slope, own = float(fitted.coef_[0, 0]), fitted.coef_[0, 1:]
    return max(slope, _LEAST_SLOPE), tuple(float(fitted.intercept_[0] + part) for part in own)


def cross_calibrated(held_out: StudyScores, *, parts: int = 5, seed: int = 0) -> StudyScores:
    """Returns probabilities of held-out patients, each from a calibration that has not seen the patient.

    Raises:
        TrainingError: As :func:`fit_calibration`.
    """
    refuse_too_few(held_out.truth[:, 0], "Calibration needs", LEAST_CALIBRATED)
    probabilities = np.empty_like(held_out.scores)
    for rest, part in parted(held_out, parts, seed):
        probabilities[part] = _fitted(held_out.some(rest)).apply(held_out.scores[part])
    return replace(held_out, scores=probabilities)


def fit_overall(held_out: StudyScores) -> LogisticRegression:
    """Returns a head for any fracture: logistic regression on the logits of the seven levels' probabilities.

    It stands beside the rule of a package, the most suspicious level: it may weigh levels, and must learn how from few patients.
    """
    return LogisticRegression(C=0.1).fit(logits(held_out.scores[:, 1:]), held_out.truth[:, 0])


def apply_overall(head: LogisticRegression, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the probability of any fracture, ``(n,)``, from calibrated ones of overall and C1..C7, ``(n, 8)``."""
    found: NDArray[np.float64] = head.predict_proba(logits(probabilities[:, 1:]))[:, 1]
    return found


def cross_fitted_overall(probabilities: StudyScores, parts: int = 5, seed: int = 0) -> NDArray[np.float64]:
    """Returns probabilities of any fracture, ``(n,)``, each from a head of :func:`fit_overall` that has not seen the patient.

    Args:
        probabilities: Of as many patients as a calibration needs.
        parts: Into which they are parted.
        seed: Of the parts.
    """
    found = np.empty(len(probabilities))
    for rest, part in parted(probabilities, parts, seed):
        found[part] = apply_overall(fit_overall(probabilities.some(rest)), probabilities.scores[part])
    return found


def parted(held_out: StudyScores, parts: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Returns pairs of the rest and a part of the patients, each set aside once; every part has its share of fractures."""
    return list(StratifiedKFold(parts, shuffle=True, random_state=seed).split(held_out.scores, held_out.truth[:, 0]))
