"""Orders levels by what to look at first."""

import math

from cspine.results import LevelFinding, StudyResult

_LEAST = 1e-6
"""Probabilities and thresholds nearer to 0 or 1 than this are taken to be as near."""


def by_suspicion(result: StudyResult) -> list[LevelFinding]:
    """Returns the levels that were assessed and placed, the one furthest above its threshold first.

    Thresholds of levels differ, so distances are those of log odds: 11 % is nearer to a threshold of 49 % than 1 % to one of 19 %.
    """
    assessed = [finding for finding in result.levels if finding.assessment is not None and finding.centre_mm is not None]
    return sorted(assessed, key=_excess, reverse=True)


def _excess(finding: LevelFinding) -> float:
    assessment = finding.assessment
    return _log_odds(assessment.probability) - _log_odds(assessment.threshold) if assessment else -math.inf


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))
