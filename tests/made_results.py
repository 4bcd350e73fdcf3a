"""Results without a scan and without a network."""

from cspine.anatomy import CERVICAL, Level
from cspine.results import (
    Assessment,
    Box,
    KeySlice,
    LevelFinding,
    LevelStatus,
    ModelFacts,
    Reason,
    StudyFacts,
    StudyResult,
    StudyStatus,
)


def made_result(**timings_s: float) -> StudyResult:
    """Returns a study with a broken C4 and no C7."""
    model = ModelFacts("blocks", "1.0", "ab" * 32, "blocks of bone")
    return StudyResult(
        status=StudyStatus.OK,
        reasons=(Reason("trained_on_phantoms", "The model was trained on synthetic phantoms only."),),
        study=StudyFacts("neck", "1.2.3", "1.2.3.4", 40, (3.0, 1.5, 1.5), "axial"),
        model=model,
        localiser=model,
        operating_point="balanced",
        overall=Assessment(0.93, 0.5, 0.9, 0.95),
        levels=tuple(_finding(level) for level in CERVICAL),
        timings_s=timings_s,
        created="2024-02-29T22:30:15+00:00",
    )


def result_text(**timings_s: float) -> str:
    """Its ``result.json``."""
    return made_result(**timings_s).to_json()


def _finding(level: Level) -> LevelFinding:
    if level is Level.C7:
        return LevelFinding(level, LevelStatus.NOT_IN_VIEW)
    return LevelFinding(
        level,
        LevelStatus.ASSESSED,
        Assessment(0.91 if level is Level.C4 else 0.02, 0.3),
        centre_mm=(0.0, 0.0, 15.0 * level),
        key_slice=KeySlice(4 * level, f"1.2.3.{level}"),
        box_mm=Box((-10.0, -10.0, 15.0 * level - 7), (10.0, 10.0, 15.0 * level + 7)),
        confidence=0.97,
    )
