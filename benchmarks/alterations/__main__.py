"""Runs the detector on alterations of scans of intact necks, and writes a table of what it flags.

``python -m benchmarks.alterations SCAN... [--package P] -o TABLE.md`` takes scans in which nothing is fractured, finds the
vertebrae of each as it is stored, alters it, and predicts it as `cspine detect` does. TABLE.json beside the table keeps every
result; what it has already is not predicted again. Intervals are bootstraps over scans.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.alterations.changes import ALTERATIONS, Corners
from benchmarks.alterations.counting import Finding, rows, table
from cspine.detection import Detector
from cspine.errors import DatasetError, InputError, StudyError
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating import Localiser, Located
from cspine.locating.crop_geometry import located_by
from cspine.reading import AnyScan, as_study, read_study, studies_in
from cspine.results import LevelStatus, StudyResult
from cspine.storage.codec import decode_each
from cspine.storage.files import write_text
from cspine.storage.strict_json import parse_json
from cspine.study import Study
from cspine.volume import LabelMap, Volume


class KeptLocaliser(Localiser):
    """Finds vertebrae where they were found in the scan as it is stored, so that a classifier is tested apart from the localiser.

    Attributes:
        labels: Of the scan that is altered; ``None`` as long as its vertebrae are to be found.
    """

    labels: LabelMap | None = None

    def __call__(self, scan: AnyScan, grid: Grid | None = None) -> Located:
        """Returns the vertebrae that were found before."""
        if self.labels is None:
            return super().__call__(scan, grid)
        volume = scan if isinstance(scan, Volume) else as_study(scan, grid).volume
        return located_by(sample(self.labels, volume.grid))


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan that is altered.

    Attributes:
        name: Its file or folder, with a part of the digest of its voxels, so that no two scans share a name.
        study: The scan.
    """

    name: str
    study: Study


def main() -> int:
    """Writes the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alterations", description=__doc__)
    parser.add_argument("scans", nargs="+", type=Path, metavar="SCAN", help="folder, zip or NIfTI file, or a folder of scans")
    parser.add_argument("--package", metavar="P", help="a model package: its folder or its name; the shipped one by default")
    parser.add_argument("--localiser", metavar="P", help="finds the vertebrae; the shipped one by default")
    parser.add_argument("--keep-levels", action="store_true", help="find vertebrae once, in each scan as it is stored")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="TABLE.md", help="where the table goes")
    options = parser.parse_args()
    try:
        localiser = KeptLocaliser(options.localiser) if options.keep_levels else Localiser(options.localiser)
        findings = predicted(Detector(options.package, localiser=localiser), _scans(options.scans), options.out)
    except InputError as error:
        sys.stderr.write(f"benchmarks.alterations: {error}\n")
        return 2
    sys.stdout.write(table(rows(findings, ALTERATIONS[0].name)))
    return 0


def predicted(detector: Detector, scans: Iterator[Scan], out: Path) -> list[Finding]:
    """Returns what a detector predicts for every alteration of every scan, and writes the table after each scan.

    Args:
        detector: Predicts the scans.
        scans: What is altered; a scan without a sure vertebra is reported and left out.
        out: Where the table goes; the results go beside it and are kept for the next call.

    Raises:
        DatasetError: The results beside the table are those of another detector, or no scan is left.
    """
    path = out.with_suffix(".json")
    maker = [detector.model.sha256, detector.localiser.package.sha256, type(detector.localiser).__name__]
    known = _kept(path, maker)
    findings: list[Finding] = []
    for scan in scans:
        own = [one for one in known if one.scan == scan.name] or list(_altered(detector, scan))
        if not own:
            sys.stderr.write(f"{scan.name}: no vertebra is surely named; the scan is left out.\n")
            continue
        findings += own
        others = [one for one in known if one.scan not in {finding.scan for finding in findings}]
        write_text(path, json.dumps({"by": maker, "findings": [asdict(one) for one in (*findings, *others)]}, indent=1) + "\n")
        write_text(out, table(rows(findings, ALTERATIONS[0].name)))
    if not findings:
        raise DatasetError("A scan with a surely named vertebra is needed. None of these has one: give others.")
    return findings


def _kept(path: Path, maker: Sequence[str]) -> list[Finding]:
    if not path.is_file():
        return []
    kept = parse_json(path.read_bytes())
    if kept["by"] != list(maker):
        raise DatasetError(f"{path} holds what another package or localiser says. Give another table.")
    return list(decode_each(Finding, kept["findings"], "findings"))


def _scans(paths: Sequence[Path]) -> Iterator[Scan]:
    """Yields every scan, each once.

    Raises:
        StudyError: One cannot be read, or comes twice.
    """
    seen: set[str] = set()
    for path in (study for given in paths for study in studies_in(given)):
        study = read_study(path)
        study = replace(study, volume=study.volume.in_float32())
        digest = hashlib.sha256(np.ascontiguousarray(study.volume.hu).tobytes()).hexdigest()[:8]
        if digest in seen:
            raise StudyError(f"Each scan is needed once. {path} has the voxels of one before: leave one of them out.")
        seen.add(digest)
        yield Scan(f"{path.name}-{digest}", study)


def _altered(detector: Detector, scan: Scan) -> Iterator[Finding]:
    """Yields what a detector predicts for each alteration of a scan; nothing where no vertebra is surely named."""
    localiser, volume = detector.localiser, scan.study.volume
    if isinstance(localiser, KeptLocaliser):
        localiser.labels = None
    located = localiser(volume)
    if isinstance(localiser, KeptLocaliser):
        localiser.labels = _sure(located)
    corners = _corners(located)
    if not len(corners):
        return
    for alteration in ALTERATIONS:
        altered = alteration.change(volume, corners)
        if altered is not None:
            sys.stderr.write(f"{scan.name}: {alteration.name}\n")
            yield finding_of(scan.name, alteration.name, detector(replace(scan.study, volume=altered, sources=())))


def _sure(located: Located) -> LabelMap:
    """Returns the labels of the vertebrae whose names are sure."""
    names = [one.level for one in located.vertebrae if one.status is not LevelStatus.UNCERTAIN]
    labels = located.labels.labels
    return LabelMap(np.where(np.isin(labels, names), labels, 0).astype(np.uint8), located.labels.grid)


def _corners(located: Located) -> Corners:
    """Returns the corners of the boxes around the vertebrae whose names are sure."""
    sure = [one.box_mm for one in located.vertebrae if one.status is not LevelStatus.UNCERTAIN]
    corners = [[[(box.low_mm, box.high_mm)[side][axis] for axis, side in enumerate(sides)] for sides in _SIDES] for box in sure]
    return np.array(corners, dtype=np.float64).reshape(-1, len(_SIDES), 3)


_SIDES = tuple(np.ndindex(2, 2, 2))


def finding_of(scan: str, alteration: str, result: StudyResult) -> Finding:
    """Returns what counts of a result."""
    assessed = {one.level.name: one.assessment for one in result.levels if one.assessment is not None}
    return Finding(
        scan=scan,
        alteration=alteration,
        refused=() if result.overall is not None else tuple(reason.code for reason in result.reasons),
        flagged=result.overall is not None and result.overall.positive,
        probabilities={name: round(one.probability, 4) for name, one in assessed.items()},
        flagged_levels=tuple(name for name, one in assessed.items() if one.positive),
    )


if __name__ == "__main__":
    sys.exit(main())
