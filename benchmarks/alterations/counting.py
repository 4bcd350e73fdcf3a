"""Counts what is flagged: by alteration, with intervals over scans."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.evaluation.bootstrap import Bootstrap, Estimate
from cspine.evaluation.weighted import resampled_share

ALL = "all alterations"


@dataclass(frozen=True, slots=True)
class Finding:
    """Holds what the detector predicts for one scan, altered in one way.

    Attributes:
        scan: Which one.
        alteration: How it was altered.
        refused: Codes of why it was rejected; empty where it was assessed.
        flagged: Whether the study is flagged.
        probabilities: Of each level that was assessed, by its name.
        flagged_levels: Which of these are flagged.
    """

    scan: str
    alteration: str
    refused: tuple[str, ...]
    flagged: bool
    probabilities: dict[str, float]
    flagged_levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Holds a line of the table.

    Attributes:
        name: The alteration.
        scans: To how many scans it applies.
        rejected: How many of them were rejected.
        studies: How many were flagged, of those that were assessed, and their share.
        levels: The same of levels.
        more: Levels that are flagged and are not in the scan as it is stored.
    """

    name: str
    scans: int
    rejected: int
    studies: tuple[int, int, Estimate]
    levels: tuple[int, int, Estimate]
    more: int


def rows(findings: Sequence[Finding], plain: str) -> list[Row]:
    """Returns a line for each alteration in the order in which they come, and one of all but the first.

    Args:
        findings: Of every scan, altered in every way.
        plain: The alteration that changes nothing.
    """
    scans = sorted({one.scan for one in findings})
    draw = Bootstrap(max(len(scans), 1))
    before = {one.scan: one.flagged_levels for one in findings if one.alteration == plain}
    names = list(dict.fromkeys(one.alteration for one in findings))
    groups = {name: [one for one in findings if one.alteration == name] for name in names}
    groups[ALL] = [one for one in findings if one.alteration != plain]

    def line(name: str, some: Sequence[Finding]) -> Row:
        seen = [one for one in some if not one.refused]
        studies = [(scans.index(one.scan), one.flagged) for one in seen]
        levels = [(scans.index(one.scan), level in one.flagged_levels) for one in seen for level in one.probabilities]
        more = sum(len(set(one.flagged_levels) - set(before.get(one.scan, ()))) for one in seen)
        return Row(name, len(some), len(some) - len(seen), _share(draw, studies), _share(draw, levels), more)

    return [line(name, some) for name, some in groups.items() if some]


def _share(draw: Bootstrap, found: Sequence[tuple[int, bool]]) -> tuple[int, int, Estimate]:
    """Returns how many are true, of how many, and the share with its interval over scans."""
    scan: NDArray[np.intp] = np.array([number for number, _ in found], dtype=np.intp)
    is_true = np.array([one for _, one in found], dtype=bool)
    everyone = np.ones(len(found), dtype=bool)
    estimate = draw.estimate(lambda times: resampled_share(everyone, is_true, times[:, scan]), len(set(scan.tolist())))
    return int(is_true.sum()), len(found), estimate


def table(lines: Sequence[Row]) -> str:
    """Returns the table as Markdown."""
    head = [
        "| scan | scans | rejected | studies flagged | share (95 % interval over scans) | levels flagged | share | flagged newly |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(_line(row) for row in lines)]) + "\n"


def _line(row: Row) -> str:
    counts = (f"{flagged} of {counted} | {share}" for flagged, counted, share in (row.studies, row.levels))
    return f"| {row.name} | {row.scans} | {row.rejected} | {' | '.join(counts)} | {row.more} |"
