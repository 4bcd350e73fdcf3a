"""Colours an assessment on a page."""

from enum import StrEnum

from cspine.results import Assessment


class Tone(StrEnum):
    """A class of the style sheet."""

    SUSPICIOUS = "suspicious"
    CALM = "calm"
    UNKNOWN = "unknown"


def tone(assessment: Assessment | None) -> Tone:
    """Returns the tone of a positive, a negative or a missing assessment."""
    if assessment is None:
        return Tone.UNKNOWN
    return Tone.SUSPICIOUS if assessment.positive else Tone.CALM
