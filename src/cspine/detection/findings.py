"""From pooled scores to what is said about each level."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.detection.stack import StackScores
from cspine.locating import Located, Vertebra
from cspine.modelpack import Manifest, OperatingPoint, TrainingData
from cspine.results import Judgement, KeySlice, LevelFinding, LevelStatus, Reason
from cspine.study import Study


def judge(probability: float, threshold: float) -> Judgement:
    """A probability beside its threshold."""
    return Judgement(round(float(probability), 4), threshold)


def level_findings(
    study: Study, located: Located, scores: StackScores, probabilities: NDArray[np.float64], point: OperatingPoint
) -> tuple[LevelFinding, ...]:
    """What is said about C1..C7.

    Args:
        study: The scan.
        located: Where its vertebrae are.
        scores: What the network said about slices.
        probabilities: Calibrated, overall and C1..C7, ``(8,)``.
        point: The thresholds.
    """
    return tuple(_finding(study, level, located.vertebra(level), scores, (probabilities[level], point)) for level in CERVICAL)


def _finding(
    study: Study, level: Level, vertebra: Vertebra | None, scores: StackScores, judged: tuple[float, OperatingPoint]
) -> LevelFinding:
    if vertebra is None:
        return LevelFinding(level, LevelStatus.NOT_IN_VIEW)
    probability, point = judged
    finding = LevelFinding(
        level,
        LevelStatus.UNCERTAIN,
        centre_mm=vertebra.centre_mm,
        box_mm=vertebra.box_mm,
        confidence=round(vertebra.confidence, 4),
    )
    if vertebra.status is LevelStatus.UNCERTAIN or not scores.pooled.in_view[level - 1]:
        return finding
    x, y, _ = vertebra.centre_mm
    height = float(scores.grid.world((int(scores.pooled.key_slice[level - 1]), 0, 0))[2])
    return replace(
        finding,
        status=vertebra.status,
        judgement=judge(probability, point.thresholds[level]),
        key_slice=_key_slice(study, (x, y, height)),
    )


def what_to_mind(manifest: Manifest, levels: tuple[LevelFinding, ...]) -> tuple[Reason, ...]:
    """What a reader of the result must know: about the model, and about levels that were not judged whole."""
    reasons = []
    if manifest.training_data is TrainingData.PHANTOMS:
        text = "The model was trained on synthetic phantoms only. What it says about a patient is unproven."
        reasons.append(Reason("trained_on_phantoms", text))
    missing = [finding.level.name for finding in levels if finding.status is not LevelStatus.ASSESSED]
    if missing:
        text = f"Not or not wholly judged, because not seen whole: {', '.join(missing)}."
        reasons.append(Reason("levels_incomplete", text))
    return tuple(reasons)


def _key_slice(study: Study, point_mm: tuple[float, float, float]) -> KeySlice:
    index = study.nearest_slice(point_mm)
    return KeySlice(index, study.sources[index].sop_instance_uid if study.sources else None)
