"""Puts a result into words."""

import textwrap
from datetime import UTC, datetime

from cspine.results import CAUTIONS, Assessment, LevelStatus, Reason, StudyResult, StudyStatus

STATUS_WORDS = {
    LevelStatus.ASSESSED: "assessed",
    LevelStatus.PARTLY_IN_VIEW: "partly in view",
    LevelStatus.NOT_IN_VIEW: "not in view",
    LevelStatus.UNCERTAIN: "uncertain",
}

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
"""In English whatever the language of the machine."""

_LINE = 165
_LONGEST_NAME = 70


def percent(probability: float) -> str:
    """Returns a probability for people; never 0 or 100, which nothing justifies."""
    if probability < 0.01:
        return "< 1 %"
    return "> 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def span(assessment: Assessment) -> str:
    """Returns the range over the passes of test-time augmentation, as ``48–71 %``; empty where all read the same."""
    return "" if assessment.low is None or assessment.high is None else from_to(assessment.low, assessment.high)


def from_to(lowest: float, highest: float) -> str:
    """Returns two probabilities, as ``48–71 %``; empty where they read the same."""
    low, high = percent(lowest), percent(highest)
    if low == high:
        return ""
    return f"{low.removesuffix(' %')}{' to ' if set('<>') & set(low + high) else '–'}{high}"


def spanned(assessment: Assessment) -> str:
    """Returns a probability and its range over test-time augmentation, as ``62 % (48–71 %)``."""
    spread = span(assessment)
    return f"{percent(assessment.probability)} ({spread})" if spread else percent(assessment.probability)


def headline(result: StudyResult) -> str:
    """Returns the result in one line."""
    if result.status is StudyStatus.REJECTED or result.overall is None:
        return "Not assessed: " + "; ".join(
            reason.code.replace("_", " ") for reason in result.reasons if reason.code not in CAUTIONS
        )
    verdict = ("suspected" if result.overall.positive else "not suspected") + ("" if result.overall.sure else ", unsure")
    threshold = f"threshold {percent(result.overall.threshold)}, {result.operating_point}"
    about = "; ".join(filter(None, [span(result.overall), threshold]))
    return f"Fracture {verdict}: {percent(result.overall.probability)} ({about})"


def moment(created: str) -> str:
    """Returns a moment in ISO 8601 for people, as ``29 February 2024, 22:30 UTC``; empty where there is none."""
    if not created:
        return ""
    when = datetime.fromisoformat(created).astimezone(UTC)
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M} UTC"


def short_name(result: StudyResult) -> str:
    """Returns the name of the study, cut where it would not fit on a line."""
    name = result.study.name
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def reasons_and_warnings(result: StudyResult) -> tuple[Reason, ...]:
    """Returns the reasons of a result and the warnings of reading, without what the disclaimer says."""
    return tuple(reason for reason in (*result.reasons, *result.study.warnings) if reason.code not in CAUTIONS)


def notes(result: StudyResult) -> list[str]:
    """Returns reasons and warnings, each on lines of its own."""
    return [line for reason in reasons_and_warnings(result) for line in textwrap.wrap(reason.text, _LINE)]
