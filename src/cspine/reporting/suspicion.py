"""Orders levels by what to look at first."""

from cspine.results import LevelFinding, StudyResult


def by_suspicion(result: StudyResult) -> list[LevelFinding]:
    """Returns the levels that were assessed and placed, the most probable fracture first; all have the same threshold."""
    assessed = [finding for finding in result.levels if finding.assessment is not None and finding.centre_mm is not None]
    return sorted(assessed, key=lambda finding: finding.assessment.probability if finding.assessment else 0.0, reverse=True)
