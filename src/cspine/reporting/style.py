"""Colours of pictures: legible for people who cannot distinguish red from green, on the dark ground of a reading room."""

from cspine.anatomy import Level
from cspine.results import Assessment, LevelFinding

BACKGROUND = "#0f1316"
INK = "#eef1f3"
QUIET = "#9aa5ad"
FAINT = "#39434b"
MARK = "#f2d16b"
SUSPICIOUS = "#ff8a5c"
CALM = "#62b0e8"

LEVEL_COLOURS = {
    Level.C1: (240, 228, 66),
    Level.C2: (86, 180, 233),
    Level.C3: (230, 159, 0),
    Level.C4: (0, 200, 150),
    Level.C5: (204, 121, 167),
    Level.C6: (120, 150, 255),
    Level.C7: (255, 120, 90),
}
"""Red, green, blue of the outlines of vertebrae, 0..255: in the viewer of a page, and in a segmentation for other viewers."""


def shade(assessment: Assessment | None) -> str:
    """Returns the colour of a positive, a negative or a missing assessment."""
    if assessment is None:
        return QUIET
    return SUSPICIOUS if assessment.positive else CALM


def shade_of_level(finding: LevelFinding) -> str:
    """Returns the colour of a level."""
    return shade(finding.assessment)
