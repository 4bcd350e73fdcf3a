"""How a page colours a judgement."""

from enum import StrEnum

from cspine.results import Judgement


class Tone(StrEnum):
    """A class of the style sheet."""

    SUSPICIOUS = "suspicious"
    CALM = "calm"
    UNKNOWN = "unknown"


def tone(judgement: Judgement | None) -> Tone:
    """The tone of a positive, a negative or a missing judgement."""
    if judgement is None:
        return Tone.UNKNOWN
    return Tone.SUSPICIOUS if judgement.positive else Tone.CALM
