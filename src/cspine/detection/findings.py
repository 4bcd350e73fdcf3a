"""Turns pooled scores into findings of each level."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cspine.anatomy import CERVICAL, Level
from cspine.detection.classifiers import Classification, Spot
from cspine.locating import Located, Vertebra
from cspine.modelpack import Calibration, Manifest, OperatingPoint, TrainingData
from cspine.results import TRAINED_ON_PHANTOMS, Assessment, KeySlice, LevelFinding, LevelStatus, Reason
from cspine.study import Study


def assessments_of(classification: Classification, calibration: Calibration, point: OperatingPoint) -> tuple[Assessment, ...]:
    """Returns assessments overall and of C1..C7: probability, threshold, and range over the passes of test-time augmentation."""
    probabilities = calibration.apply(classification.scores)
    each = calibration.apply(classification.tta_scores) if len(classification.tta_scores) else probabilities[None]
    low, high = np.minimum(each.min(axis=0), probabilities), np.maximum(each.max(axis=0), probabilities)
    spread = len(each) > 1
    return tuple(
        Assessment(round(float(p), 4), threshold, *((round(float(a), 4), round(float(b), 4)) if spread else ()))
        for p, threshold, a, b in zip(probabilities, point.thresholds, low, high, strict=True)
    )


def level_findings(
    study: Study, located: Located, classification: Classification, assessments: Sequence[Assessment]
) -> tuple[LevelFinding, ...]:
    """Returns what is said about C1..C7.

    Args:
        study: The scan.
        located: Where its vertebrae are.
        classification: What the network said.
        assessments: Of C1..C7.
    """
    seen = zip(CERVICAL, classification.spots, assessments, strict=True)
    return tuple(_finding(study, located.vertebra(level), spot, _Said(level, assessment)) for level, spot, assessment in seen)


@dataclass(frozen=True, slots=True)
class _Said:
    level: Level
    assessment: Assessment


def _finding(study: Study, vertebra: Vertebra | None, spot: Spot | None, said: _Said) -> LevelFinding:
    if vertebra is None:
        return LevelFinding(said.level, LevelStatus.NOT_IN_VIEW)
    finding = LevelFinding(
        said.level,
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
        assessment=said.assessment,
        key_slice=_key_slice(study, spot.point_mm),
        box_mm=spot.box_mm or vertebra.box_mm,
    )


def what_to_mind(manifest: Manifest, overall: Assessment | None, levels: tuple[LevelFinding, ...]) -> tuple[Reason, ...]:
    """Returns what a reader of the result must know: about the model, and about levels that were not assessed whole."""
    reasons = []
    if manifest.training_data is TrainingData.PHANTOMS:
        text = "The model was trained on synthetic phantoms only. What it says about a patient is unproven."
        reasons.append(Reason(TRAINED_ON_PHANTOMS, text))
    missing = [finding.level.name for finding in levels if finding.status is not LevelStatus.ASSESSED]
    if missing:
        text = f"Not or only partly assessed, because not seen whole: {', '.join(missing)}."
        reasons.append(Reason("levels_incomplete", text))
    unsure = [finding.level.name for finding in levels if finding.assessment is not None and not finding.assessment.sure]
    unsure += ["any fracture"] * (overall is not None and not overall.sure)
    if unsure:
        text = f"In some passes of test-time augmentation the scan is above, in others below the threshold of {', '.join(unsure)}."
        reasons.append(Reason("unsure", text))
    return tuple(reasons)


def _key_slice(study: Study, point_mm: tuple[float, float, float]) -> KeySlice:
    index = study.nearest_slice(point_mm)
    return KeySlice(index, study.sources[index].sop_instance_uid if study.sources else None)
