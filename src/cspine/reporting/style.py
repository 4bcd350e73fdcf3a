"""Colours of pictures: legible for people who do not tell red from green, on the dark ground of a reading room."""

from cspine.results import Assessment, LevelFinding

BACKGROUND = "#0f1316"
INK = "#eef1f3"
QUIET = "#9aa5ad"
FAINT = "#39434b"
MARK = "#f2d16b"
SUSPICIOUS = "#ff8a5c"
CALM = "#62b0e8"


def shade(assessment: Assessment | None) -> str:
    """Returns the colour of a positive, a negative or a missing assessment."""
    if assessment is None:
        return QUIET
    return SUSPICIOUS if assessment.positive else CALM


def shade_of_level(finding: LevelFinding) -> str:
    """Returns the colour of a level."""
    return shade(finding.assessment)
