"""Writes what a page says about a study, in words."""

from cspine.reporting.pages.nouns import StudyVerdict
from cspine.reporting.pages.tone import Tone, tone
from cspine.reporting.suspicion import by_suspicion
from cspine.reporting.words import STATUS_WORDS, percent, span
from cspine.results import CAUTIONS, LevelStatus, StudyResult


def verdict(result: StudyResult) -> StudyVerdict:
    """Returns the verdict of a study, assessed or rejected."""
    overall = result.overall
    if overall is None:
        why = tuple(reason.text for reason in result.reasons if reason.code not in CAUTIONS)
        return StudyVerdict(Tone.UNKNOWN, "Not assessed", why)
    return StudyVerdict(
        tone=tone(overall),
        title="Fracture suspected" if overall.positive else "No fracture suspected",
        sentences=(_where(result), *_unassessed(result)),
        probability=percent(overall.probability),
        range=span(overall),
        unsure=not overall.sure,
        threshold=percent(overall.threshold),
        point=result.operating_point.replace("_", " "),
    )


def _above(result: StudyResult) -> list[str]:
    """Returns levels above their threshold, the most suspicious first."""
    return [finding.level.name for finding in by_suspicion(result) if finding.assessment and finding.assessment.positive]


def _where(result: StudyResult) -> str:
    above = _above(result)
    return f"Look first at {_listed(above)}." if above else "Every level that was assessed is below its threshold."


def _unassessed(result: StudyResult) -> tuple[str, ...]:
    """Returns one sentence for each way in which levels were not assessed, or only in part."""
    sentences = []
    for status in (LevelStatus.NOT_IN_VIEW, LevelStatus.UNCERTAIN, LevelStatus.PARTLY_IN_VIEW):
        names = [finding.level.name for finding in result.levels if finding.status is status]
        if names:
            verb = "is" if len(names) == 1 else "are"
            assessed = "" if status is LevelStatus.PARTLY_IN_VIEW else ", not assessed"
            sentences.append(f"{_listed(names)} {verb} {STATUS_WORDS[status]}{assessed}.")
    return tuple(sentences)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
