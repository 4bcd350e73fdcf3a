"""A package on grafts: does it find fractures in real bone, and does it leave intact and edited bone alone?

``python -m benchmarks.grafts PACKAGE --data DIR -o FILE`` evaluates every study that ``cspine graft`` made in DIR, as the package
serves, and prints a table. FILE keeps every level; what it has already is not evaluated again. Intervals are over scans: copies of
one scan are one patient.
"""

import argparse
import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.datasets import Case, read_dataset
from cspine.datasets.masks import load_mask
from cspine.detection import Detector
from cspine.errors import DatasetError
from cspine.evaluation.bootstrap import Bootstrap, Estimate
from cspine.evaluation.weighted import resampled_auroc, resampled_share
from cspine.geometry import Grid
from cspine.locating import Localiser, Located
from cspine.locating.crop_geometry import located_by
from cspine.modelpack.calibration import logits
from cspine.reading import AnyScan, read_study
from cspine.storage.files import write_text

RISE = 2.0
"""A graft is seen if the logit of its level rises by so much over the same level of the intact scan."""

GROUPS = {"slight, severity below 0.3": (0.0, 0.3), "moderate, 0.3 to 0.6": (0.3, 0.6), "gross, 0.6 and more": (0.6, 1.01)}


@dataclass(frozen=True, slots=True)
class LevelScore:
    """Holds what a package predicts for one level of one copy.

    Attributes:
        study: The copy.
        patient: The scan that it is a copy of.
        kind: ``intact``, ``graft`` or ``control``.
        level: 1 to 7.
        severity: Of its worst fracture; ``None`` where it is not fractured.
        edited: Whether it was edited.
        logit: Of the network, not calibrated; ``None`` where the level got no probability.
        flagged: Whether it is flagged at the default operating point.
    """

    study: str
    patient: str
    kind: str
    level: int
    severity: float | None
    edited: bool
    logit: float | None
    flagged: bool


@dataclass(frozen=True, slots=True)
class Row:
    """Holds a line of the table.

    Attributes:
        name: What is measured.
        levels: On how many levels.
        estimate: The number with its interval.
    """

    name: str
    levels: int
    estimate: Estimate


class MaskLocaliser(Localiser):
    """Finds vertebrae where the mask of a copy says, so that a classifier is evaluated apart from the localiser.

    Attributes:
        case: The copy that is evaluated.
    """

    case: Case | None = None

    def __call__(self, scan: AnyScan, grid: Grid | None = None) -> Located:  # noqa: ARG002  # the signature of a localiser
        """Returns the vertebrae of the mask."""
        if self.case is None or self.case.mask is None:
            raise DatasetError("A copy with a mask is needed. `cspine graft` writes one of each: make the data set again.")
        return located_by(load_mask(self.case.mask))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grafts", description=__doc__)
    parser.add_argument("package", metavar="PACKAGE", help="a model package: its folder or its name")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a data set that `cspine graft` made")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="keeps what was evaluated, as JSON")
    parser.add_argument("--localiser", metavar="PACKAGE", help="finds the vertebrae; the shipped one by default")
    parser.add_argument("--by-masks", action="store_true", help="take the vertebrae from the masks of the copies instead")
    options = parser.parse_args()
    localiser = MaskLocaliser() if options.by_masks else options.localiser
    scores = evaluated(Detector(options.package, localiser=localiser), options.data, options.out)
    scans = len({score.patient for score in scores})
    print(f"{options.package} on {len({score.study for score in scores})} copies of {scans} scans\n\n{table(rows(scores))}")


def evaluated(detector: Detector, data: Path, out: Path) -> list[LevelScore]:
    """Returns what a package predicts for every level of every copy; predicts those that ``out`` has not."""
    what = _edits(data)
    kept: dict[str, Any] = {"package": detector.model.sha256, "levels": []}
    if out.is_file():
        kept = json.loads(out.read_text(encoding="utf-8"))
    if kept["package"] != detector.model.sha256:
        raise DatasetError(f"{out} holds what another package says. Give another file.")
    scores = [LevelScore(**level) for level in kept["levels"]]
    known = {score.study for score in scores}
    cases = [case for case in read_dataset(data).cases if case.study_uid not in known]
    for number, case in enumerate(cases, 1):
        scores += score_levels(detector, case, what[case.study_uid])
        write_text(out, json.dumps({"package": detector.model.sha256, "levels": [asdict(score) for score in scores]}) + "\n")
        print(f"{number}/{len(cases)}", end="\r", flush=True)
    return scores


@dataclass(slots=True)
class _Edits:
    """Holds what ``grafts.csv`` says of a copy."""

    kind: str
    edited: set[str] = field(default_factory=set)
    severity: dict[str, float] = field(default_factory=dict)


def _edits(data: Path) -> dict[str, _Edits]:
    path = data / "grafts.csv"
    if not path.is_file():
        raise DatasetError(f"Grafts are needed, as `cspine graft` makes them. {data} has no grafts.csv.")
    found: dict[str, _Edits] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            copy = found.setdefault(row["StudyInstanceUID"], _Edits(row["what"]))
            if row["level"]:
                copy.edited.add(row["level"])
            if row["severity"]:
                copy.severity[row["level"]] = max(float(row["severity"]), copy.severity.get(row["level"], 0.0))
    return found


def score_levels(detector: Detector, case: Case, edits: _Edits) -> list[LevelScore]:
    """Returns what a package predicts for the levels of one copy."""
    if isinstance(detector.localiser, MaskLocaliser):
        detector.localiser.case = case
    scores = detector.scores(read_study(case.images))
    manifest = detector.package.manifest
    zeros = np.zeros(1 + len(CERVICAL)) if scores is None else scores
    flagged = manifest.calibration.apply(zeros) >= manifest.operating_point().thresholds
    found = logits(zeros)
    return [
        LevelScore(
            study=case.study_uid,
            patient=case.group,
            kind=edits.kind,
            level=int(level),
            severity=edits.severity.get(level.name),
            edited=level.name in edits.edited,
            logit=float(found[level]) if zeros[level] > 0 else None,
            flagged=bool(flagged[level] and zeros[level] > 0),
        )
        for level in CERVICAL
    ]


def rows(scores: Sequence[LevelScore]) -> list[Row]:
    """Returns the lines of the table, with intervals over scans; levels that got no probability have no part."""
    levels = [score for score in scores if score.logit is not None]
    patients = sorted({score.patient for score in scores})
    number = np.array([patients.index(score.patient) for score in levels], dtype=np.intp)
    draw = Bootstrap(len(patients))
    broken = np.array([score.severity is not None for score in levels], dtype=bool)
    flagged = np.array([score.flagged for score in levels], dtype=bool)
    logit = np.array([score.logit for score in levels], dtype=np.float64)

    def line(name: str, counted: NDArray[np.bool_], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Row:
        return Row(name, int(counted.sum()), draw.estimate(lambda times: statistic(times[:, number]), len(patients)))

    def share(name: str, counted: NDArray[np.bool_], found: NDArray[np.bool_]) -> Row:
        return line(name, counted, lambda times: resampled_share(counted, found, times))

    control = np.array([score.kind == "control" and score.edited for score in levels], dtype=bool)
    intact = ~broken & ~control
    rise = logit - _intact_logits(levels)
    severity = np.array([np.nan if score.severity is None else score.severity for score in levels])
    return [
        line("AUROC of levels, grafts against the rest", broken | ~broken, lambda times: resampled_auroc(broken, logit, times)),
        share("controls flagged", control, flagged),
        share("intact levels flagged", intact, flagged),
        share("grafts flagged", broken, flagged),
        *(
            share(
                f"logit risen by {RISE:g}: {name}", broken & (severity >= low) & (severity < high) & np.isfinite(rise), rise >= RISE
            )
            for name, (low, high) in GROUPS.items()
        ),
    ]


def _intact_logits(levels: Sequence[LevelScore]) -> NDArray[np.float64]:
    """Returns the logit of the same level in the intact scan; NaN where it got no probability there."""
    intact = {(score.patient, score.level): score.logit for score in levels if score.kind == "intact"}
    found = [intact.get((score.patient, score.level)) for score in levels]
    return np.array([math.nan if logit is None else logit for logit in found], dtype=np.float64)


def table(lines: Sequence[Row]) -> str:
    """Returns the table as Markdown."""
    head = ["| | levels | value (95 % interval over scans) |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {line.name} | {line.levels} | {line.estimate} |" for line in lines)])


if __name__ == "__main__":
    main()
