"""Turns pooled scores into findings of each level."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.detection.classifiers import Classification, Spot
from cspine.detection.key_slices import key_slice
from cspine.locating import Located
from cspine.modelpack import Calibration, Manifest, OperatingPoint, TrainingData
from cspine.results import TRAINED_ON_GRAFTS, TRAINED_ON_PHANTOMS, Assessment, LevelFinding, LevelStatus, Reason
from cspine.study import Study

_HALF = 0.5

_CAUTIONS = {
    TrainingData.PHANTOMS: (TRAINED_ON_PHANTOMS, "synthetic phantoms only"),
    TrainingData.GRAFTS: (TRAINED_ON_GRAFTS, "synthetic fractures only"),
}
"""Code of the reason, and what the model was trained on, where that was no real fracture."""


def scores_of(located: Located, classification: Classification) -> NDArray[np.float64]:
    """Returns the scores that count, overall and C1..C7, not calibrated, ``(8,)``: 0 for levels that get no probability."""
    found: NDArray[np.float64] = np.where(_counted(located, classification), classification.scores, 0.0)
    return found


def assessments_of(
    located: Located, classification: Classification, calibration: Calibration, point: OperatingPoint
) -> tuple[Assessment, ...]:
    """Returns assessments overall and of C1..C7: probability, threshold, and range over the passes of test-time augmentation.

    A level that gets no probability has no part in that of any fracture. A study is flagged exactly when one of its levels is, also
    where calibration would put both sides of a threshold apart by the last digit of a number.
    """
    probabilities = calibration.apply(scores_of(located, classification))
    passes = np.where(_counted(located, classification), classification.tta_scores, 0.0)
    each = calibration.apply(passes) if len(passes) else probabilities[None]
    low, high = np.minimum(each.min(axis=0), probabilities), np.maximum(each.max(axis=0), probabilities)
    spread, flagged = len(each) > 1, probabilities >= point.thresholds
    flagged[0] = flagged[1:].any()
    return tuple(
        Assessment(_rounded(p, t, f), t, *((_rounded(a, t, f and a >= t), _rounded(b, t, f or b >= t)) if spread else ()))
        for p, t, f, a, b in zip(probabilities, point.thresholds, flagged, low, high, strict=True)
    )


def _counted(located: Located, classification: Classification) -> NDArray[np.bool_]:
    """Returns which scores count, overall and C1..C7, ``(8,)``: of levels that were found, named for sure and classified."""
    seen = zip(map(located.vertebra, CERVICAL), classification.spots, strict=True)
    return np.array(
        [True, *(one is not None and one.status is not LevelStatus.UNCERTAIN and spot is not None for one, spot in seen)]
    )


def _rounded(probability: float, threshold: float, flagged: bool) -> float:
    """Returns a probability to four digits, on the side of its threshold that is asked for."""
    rounded = round(float(probability), 4)
    if (rounded >= threshold) == flagged:
        return rounded
    if flagged:
        return math.ceil(max(float(probability), threshold) * 1e4) / 1e4
    return min(math.floor(float(probability) * 1e4), math.ceil(threshold * 1e4) - 1) / 1e4


def level_findings(
    study: Study, located: Located, classification: Classification, assessments: Sequence[Assessment]
) -> tuple[LevelFinding, ...]:
    """Returns what is said about C1..C7.

    Args:
        study: The scan.
        located: Where its vertebrae are.
        classification: What the network predicted.
        assessments: Of C1..C7.
    """
    seen = zip(CERVICAL, classification.spots, assessments, strict=True)
    return tuple(_finding(study, located, spot, _AssessedLevel(level, assessment)) for level, spot, assessment in seen)


@dataclass(frozen=True, slots=True)
class _AssessedLevel:
    level: Level
    assessment: Assessment


def _finding(study: Study, located: Located, spot: Spot | None, assessed: _AssessedLevel) -> LevelFinding:
    vertebra = located.vertebra(assessed.level)
    if vertebra is None:
        return LevelFinding(assessed.level, LevelStatus.NOT_IN_VIEW)
    finding = LevelFinding(
        assessed.level,
        LevelStatus.UNCERTAIN,
        centre_mm=vertebra.centre_mm,
        box_mm=vertebra.box_mm,
        confidence=round(vertebra.confidence, 4),
    )
    if vertebra.status is LevelStatus.UNCERTAIN or spot is None:
        return finding
    return replace(
        finding,
        status=vertebra.status,
        assessment=assessed.assessment,
        key_slice=key_slice(study, located.labels, assessed.level, spot.point_mm),
        box_mm=spot.box_mm or vertebra.box_mm,
    )


def what_to_mind(manifest: Manifest, overall: Assessment | None, levels: tuple[LevelFinding, ...]) -> tuple[Reason, ...]:
    """Returns what a reader of the result must know: about the model, and about levels that were not assessed whole."""
    reasons = []
    if manifest.training_data in _CAUTIONS:
        code, text = _CAUTIONS[manifest.training_data]
        reasons.append(Reason(code, f"The model was trained on {text}. What it says about a patient is unproven."))
    missing = [finding.level.name for finding in levels if finding.status is not LevelStatus.ASSESSED]
    if missing:
        text = f"Not assessed, or only in part, because the scan does not show all of them: {', '.join(missing)}."
        reasons.append(Reason("levels_incomplete", text))
    unsure = [finding.level.name for finding in levels if finding.assessment is not None and not finding.assessment.sure]
    unsure += ["any fracture"] * (overall is not None and not overall.sure)
    if unsure:
        text = f"Passes of test-time augmentation fall on both sides of the threshold of {', '.join(unsure)}."
        reasons.append(Reason("unsure", text))
    return (*reasons, *_flagged_below_half(levels))


def _flagged_below_half(levels: tuple[LevelFinding, ...]) -> tuple[Reason, ...]:
    """Returns what it means where a level is flagged whose fracture is less probable than not."""
    flagged = [
        one for one in levels if one.assessment is not None and one.assessment.positive and one.assessment.probability < _HALF
    ]
    if not flagged:
        return ()
    threshold = max(one.assessment.threshold for one in flagged if one.assessment is not None)
    text = (
        f"{', '.join(one.level.name for one in flagged)} flagged although a fracture is less likely than not: levels are "
        f"flagged from {100 * threshold:.0f} % on, so that few fractures are missed."
    )
    return (Reason("flagged_below_half", text),)
