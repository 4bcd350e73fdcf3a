"""A localiser on real scans whose levels were marked by eye: which names are right, and which are wrong and sure.

    python -m benchmarks.localiser.marked MARKS.json SCANS -o FILE.json [--localiser PACKAGE]

MARKS.json holds points of levels by scan (``benchmarks/localiser/marks``); SCANS is the folder of ``<scan>.nii.gz``. A name is
right where the centre of the vertebra lies within 7 mm of the mark along the spine, less than half of a level. Prints a table with
95 % bootstrap intervals over scans, and writes it with what each scan gave; ``cspine export --evaluation FILE.json`` puts the
figures into the card of the package.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.locating import Localiser, Located
from cspine.modelpack import Figure
from cspine.reading import read_study
from cspine.results import LevelStatus
from cspine.storage.files import write_text

Points = Mapping[str, Sequence[float]]
"""Marks of a scan: LPS millimetres by level."""

_RIGHT_WITHIN_MM = 7.0
_SURE_FROM = 0.9
_SAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Named:
    """One marked level.

    Attributes:
        level: Its name.
        error_mm: How far along the spine its centre is from the mark, towards the feet; ``None`` where it was not found.
        confidence: Of the name; 0 where it was not found or is ``uncertain``.
    """

    level: str
    error_mm: float | None
    confidence: float

    @property
    def right(self) -> bool:
        """Says whether the name is right."""
        return self.error_mm is not None and abs(self.error_mm) <= _RIGHT_WITHIN_MM

    @property
    def sure(self) -> bool:
        """Says whether the localiser is sure of the name."""
        return self.confidence >= _SURE_FROM


def main() -> None:
    """Prints an evaluation on marked scans and writes it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localiser.marked", description=__doc__)
    parser.add_argument("marks", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--localiser")
    options = parser.parse_args()
    localiser, found = Localiser(options.localiser), {}
    for scan, marks in json.loads(options.marks.read_text(encoding="utf-8")).items():
        found[scan] = compare(localiser(read_study(options.scans / f"{scan}.nii.gz").volume), marks)
        wrong = [f"{one.level} {one.error_mm or 0:+.0f} mm" for one in found[scan] if one.sure and not one.right]
        print(f"{scan}: {sum(one.right for one in found[scan])} of {len(found[scan])} right {', '.join(wrong)}", flush=True)
    figures = shares(list(found.values()))
    print(table(figures))
    scans = {scan: [asdict(one) for one in each] for scan, each in found.items()}
    content = {"figures": [asdict(replace(one, name=f"{len(found)} real necks: {one.name}")) for one in figures], "scans": scans}
    write_text(options.out, json.dumps(content, indent=1) + "\n")


def compare(located: Located, marks: Points) -> list[Named]:
    """Returns what the localiser finds of each marked level."""
    return [_compare(located, level, np.asarray(point), _towards_feet(marks, level)) for level, point in marks.items()]


def shares(scans: Sequence[Sequence[Named]]) -> list[Figure]:
    """Returns shares of levels with 95 % bootstrap intervals over scans."""
    rows: list[tuple[str, Callable[[Named], bool], Callable[[Named], bool]]] = [
        ("levels named right", lambda one: one.right, lambda _: True),
        ("right and sure", lambda one: one.right and one.sure, lambda _: True),
        ("wrong and sure", lambda one: one.sure and not one.right, lambda _: True),
        ("right, of the sure", lambda one: one.right, lambda one: one.sure),
    ]
    return [Figure(name, *_share(scans, counted, among)) for name, counted, among in rows]


def table(figures: Sequence[Figure]) -> str:
    """Returns them as Markdown."""
    rows = [f"| {one.name} | {one.value:.3f} ({one.low:.3f} to {one.high:.3f}) |" for one in figures]
    return "\n".join(["| | share |", "|---|---|", *rows])


def _compare(located: Located, name: str, point: NDArray[np.float64], axis: NDArray[np.float64]) -> Named:
    vertebra = located.vertebra(Level[name])
    if vertebra is None:
        return Named(name, None, 0.0)
    error = round(float(np.dot(np.subtract(vertebra.centre_mm, point), axis)), 1)
    return Named(name, error, 0.0 if vertebra.status is LevelStatus.UNCERTAIN else vertebra.confidence)


def _towards_feet(marks: Points, name: str) -> NDArray[np.float64]:
    """Returns the direction of the spine at a mark, from the marks of its neighbours; C1 and C2 take that of C2 to C3.

    The middle of C1 is that of a ring around the canal, so the way from there to a body does not run along the spine.
    """
    names = sorted(marks, key=lambda one: Level[one])
    bodies = [one for one in names if one != "C1"]
    at = max(bodies.index(name), 0) if name in bodies else 0
    first, last = bodies[max(at - 1, 0)], bodies[min(at + 1, len(bodies) - 1)]
    way = np.subtract(marks[last], marks[first]) if first != last else np.array([0.0, 0.0, -1.0])
    direction: NDArray[np.float64] = way / np.linalg.norm(way)
    return direction


def _share(
    scans: Sequence[Sequence[Named]], counted: Callable[[Named], bool], among: Callable[[Named], bool]
) -> tuple[float, float, float]:
    hits = np.array([[sum(counted(one) for one in scan if among(one)), sum(map(among, scan))] for scan in scans])
    chosen = np.random.default_rng(0).integers(len(scans), size=(_SAMPLES, len(scans)))
    shares = hits[chosen, 0].sum(axis=1) / np.maximum(hits[chosen, 1].sum(axis=1), 1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(hits[:, 0].sum() / max(hits[:, 1].sum(), 1)), float(low), float(high)


if __name__ == "__main__":
    main()
