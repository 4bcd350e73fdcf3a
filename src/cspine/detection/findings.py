"""From pooled scores to what is said about each level."""

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.detection.places import Places
from cspine.modelpack import Manifest, OperatingPoint, PooledScores, TrainingData
from cspine.results import Judgement, KeySlice, LevelFinding, LevelStatus, Reason
from cspine.study import Study
from cspine.volume import Volume

_PERHAPS_IN_VIEW = 0.2
"""From this visibility on a level that is not in view is called uncertain instead of absent."""


def judge(probability: float, threshold: float) -> Judgement:
    """A probability beside its threshold."""
    return Judgement(round(float(probability), 4), threshold)


def level_findings(
    study: Study, stack: Volume, pooled: PooledScores, probabilities: NDArray[np.float64], point: OperatingPoint
) -> tuple[LevelFinding, ...]:
    """What is said about C1..C7.

    Args:
        study: The scan.
        stack: The slices that the network saw.
        pooled: What it said.
        probabilities: Calibrated, overall and C1..C7, ``(8,)``.
        point: The thresholds.
    """
    places = Places(stack, pooled)
    findings = []
    for level in CERVICAL:
        status = level_status(pooled, level, stack.grid.shape[0])
        if status in (LevelStatus.ASSESSED, LevelStatus.PARTLY_IN_VIEW):
            findings.append(
                LevelFinding(
                    level,
                    status,
                    judge(probabilities[level], point.thresholds[level]),
                    centre_mm=places.centre_mm(level),
                    key_slice=_key_slice(study, places.key_point_mm(level)),
                    box_mm=places.box_mm(level),
                )
            )
        else:
            findings.append(LevelFinding(level, status))
    return tuple(findings)


def level_status(pooled: PooledScores, level: Level, slices: int) -> LevelStatus:
    """How much of a level a stack of ``slices`` shows; one that is visible in the first or last slice is cut by the scan."""
    visibility = pooled.visibility[level - 1]
    if pooled.in_view[level - 1]:
        cut = pooled.first_slice[level - 1] == 0 or pooled.last_slice[level - 1] == slices - 1
        return LevelStatus.PARTLY_IN_VIEW if cut else LevelStatus.ASSESSED
    return LevelStatus.UNCERTAIN if visibility >= _PERHAPS_IN_VIEW else LevelStatus.NOT_IN_VIEW


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
