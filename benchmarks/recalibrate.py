"""Fits calibration and thresholds of a package to a data set anew, from what it predicts there as it serves.

    python -m benchmarks.recalibrate PACKAGE --data DIR -o FOLDER --package-version N

DIR must have had no part in training. FOLDER becomes the package with the new calibration, thresholds and card; its networks and
figures stay. What the package predicted for each study is kept in ``FOLDER.scores.csv``, and is not predicted again.
"""

import argparse
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.package_copy import write_copy
from cspine.datasets import Case, read_dataset
from cspine.detection import Detector
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import choose_points, fit_calibration
from cspine.modelpack import Manifest, Package
from cspine.reading import read_study
from cspine.storage.files import write_text
from cspine.training.core.packages import threshold_table

_OLD_TABLE = re.compile(r"(?:A study is as suspicious[^|]*)?\| operating point \|.*?\n\n", re.DOTALL)
_OLD_RULE = re.compile(r"^The score of the study is the noisy-OR .*\n", re.MULTILINE)


def main() -> None:
    """Fits a calibration to scores and writes the package."""
    options = _arguments()
    detector, out = Detector(options.package), options.out
    scores = served_scores(detector, list(read_dataset(options.data).cases), out.with_name(f"{out.name}.scores.csv"))
    write_recalibrated(detector.package, scores, out, options.package_version)
    fresh = Detector(out).package.manifest
    for point in fresh.operating_points:
        print(point.name, f"{point.thresholds[1]:.4f} {point.thresholds[0]:.4f}")


def served_scores(detector: Detector, cases: list[Case], kept: Path) -> StudyScores:
    """Returns what the package predicts for labelled studies, not calibrated; of rejected ones nothing."""
    if kept.is_file():
        return StudyScores.from_csv(kept)
    uids, truth, outcome = [], [], []
    for number, case in enumerate(cases, 1):
        scores = detector.scores(read_study(case.images))
        print(f"{number}/{len(cases)}", end="\r", flush=True)
        if case.fractured is None or scores is None:
            continue
        uids.append(case.study_uid)
        truth.append([any(case.fractured), *case.fractured])
        outcome.append(scores)
    found = StudyScores(tuple(uids), np.array(truth, dtype=bool), np.array(outcome))
    write_text(kept, found.to_csv())
    return found


def recalibrated(manifest: Manifest, scores: StudyScores, version: str) -> Manifest:
    """Returns a manifest whose calibration and thresholds come from these scores."""
    calibration = fit_calibration(scores)
    points = choose_points(scores.truth, calibration.apply(scores.scores), calibration)
    return replace(manifest, version=version, calibration=calibration, operating_points=points, default_point=points[0].name)


def write_recalibrated(package: Package[Manifest], scores: StudyScores, out: Path, version: str) -> None:
    """Writes the package anew."""
    manifest = recalibrated(package.manifest, scores, version)
    card = package.card.replace(f"# {manifest.name} {package.manifest.version}", f"# {manifest.name} {version}", 1)
    card = _OLD_TABLE.sub(f"{threshold_table(manifest.operating_points)}\n\n", _OLD_RULE.sub("", card))
    card = re.sub(r"(- Calibration and thresholds: )\d+", rf"\g<1>{len(scores)}", card)
    write_copy(manifest, card, package.files, out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", metavar="PACKAGE", help="folder or name")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--package-version", required=True, metavar="N")
    return parser.parse_args()


if __name__ == "__main__":
    main()
