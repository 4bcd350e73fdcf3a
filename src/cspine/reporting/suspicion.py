"""Which levels to look at first."""

from cspine.results import LevelFinding, StudyResult


def by_suspicion(result: StudyResult) -> list[LevelFinding]:
    """The levels that were judged and placed, the one furthest above its threshold first."""
    judged = [finding for finding in result.levels if finding.judgement is not None and finding.centre_mm is not None]
    return sorted(judged, key=_excess, reverse=True)


def _excess(finding: LevelFinding) -> float:
    judgement = finding.judgement
    return judgement.probability - judgement.threshold if judgement else -1.0
