"""A package on the same necks with thicker slices and larger pixels: what it flags, and whether levels keep their order.

``python -m benchmarks.coarse PACKAGE --data DIR -o FILE.json [--intact N] [--fractured N]`` takes the first intact and the first
fractured studies of DIR, averages each scan over larger voxels, and predicts it as `cspine detect` does. What was predicted
before is not predicted again. Prints a table in Markdown; intervals are bootstraps over necks.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case, read_dataset
from cspine.detection import Detector
from cspine.evaluation.metrics import auroc
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reading import read_study
from cspine.results import StudyResult
from cspine.volume import Volume

VOXELS_MM = ((0.0, 0.0), (1.5, 0.0), (2.0, 0.0), (2.5, 0.0), (3.0, 0.0), (1.0, 0.8), (1.0, 1.0), (1.2, 1.2), (1.0, 1.5), (1.0, 2.0))
"""Slices and pixels; 0 is as they are."""

_DRAWN = 2000


def main() -> None:
    """Prints the table."""
    options = _arguments()
    found = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
    detector = Detector(options.package)
    cases = _chosen(options.data, options.intact, options.fractured)
    for number, case in enumerate(cases, 1):
        if case.study_uid not in found:
            found[case.study_uid] = _evaluated(detector, case)
            options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{number}/{len(cases)}", end="\r", flush=True)
    necks = [found[case.study_uid] for case in cases]
    print("| slices, pixels | intact necks flagged | their median | intact levels | fractured necks flagged | AUROC of levels |")
    print("|---|---|---|---|---|---|")
    for i, (slices, pixels) in enumerate(VOXELS_MM):
        cells = _row([neck["outcome"][i] for neck in necks], np.array([neck["broken"] for neck in necks]))
        print(f"| {_told(slices)}, {_told(pixels)} | " + " | ".join(cells) + " |")


def coarser(volume: Volume, slices_mm: float, pixels_mm: float) -> Volume:
    """Returns a scan averaged over larger voxels."""
    if not slices_mm and not pixels_mm:
        return volume
    own = volume.grid.canonical().spacing_mm
    z, y, x = (wanted or side for wanted, side in zip((slices_mm, pixels_mm, pixels_mm), own, strict=True))
    corners = volume.grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = [max(round(float(length / side)), 1) for length, side in zip((high - low)[::-1], (z, y, x), strict=True)]
    grid = Grid.upright((low + high) / 2, (shape[0], shape[1], shape[2]), (z, y, x))
    return Volume(sample(volume, grid).hu, grid)


def _chosen(data: Path, intact: int, fractured: int) -> list[Case]:
    cases = [case for case in read_dataset(data).cases if case.fractured is not None]
    kinds = ([case for case in cases if any(case.fractured or ()) is is_broken] for is_broken in (False, True))
    return [case for kind, count in zip(kinds, (intact, fractured), strict=True) for case in kind[:count]]


def _evaluated(detector: Detector, case: Case) -> dict[str, Any]:
    study = read_study(case.images)
    outcome = []
    for slices, pixels in VOXELS_MM:
        result = detector(replace(study, volume=coarser(study.volume, slices, pixels)))
        outcome.append(_outcome(result))
    return {"broken": [bool(one) for one in case.fractured or ()], "outcome": outcome}


def _outcome(result: StudyResult) -> list[list[float]]:
    """Returns probability and whether it is flagged, of any fracture and of C1..C7; a level without a probability is 0."""
    assessments = (result.overall, *(finding.assessment for finding in result.levels))
    return [[0.0, 0.0] if one is None else [one.probability, float(one.positive)] for one in assessments]


def _row(outcome: Sequence[Any], broken: NDArray[np.bool_]) -> list[str]:
    scores = np.array(outcome, dtype=np.float64)
    any_broken = broken.any(axis=1)
    intact, fractured = scores[~any_broken], scores[any_broken]
    everyone = np.arange(len(scores))
    drawn = np.random.default_rng(0).integers(len(scores), size=(_DRAWN, len(scores)))
    levels, *others = (auroc(broken[which].ravel(), scores[which, 1:, 0].ravel()) for which in (everyone, *drawn))
    low, high = np.nanpercentile(others, [2.5, 97.5])
    intact_levels = scores[:, 1:, 1][~broken]
    return [
        f"{intact[:, 0, 1].sum():.0f} of {len(intact)}",
        f"{100 * np.median(intact[:, 0, 0]):.0f} %",
        f"{intact_levels.mean():.2f}",
        f"{fractured[:, 0, 1].sum():.0f} of {len(fractured)}",
        f"{levels:.2f} ({low:.2f}-{high:.2f})",
    ]


def _told(mm: float) -> str:
    return f"{mm:g} mm" if mm else "as they are"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", metavar="PACKAGE", help="name or folder")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data set that the package has not learnt from")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.json", help="where what is said goes")
    parser.add_argument("--intact", type=int, default=24, metavar="N", help="intact necks (default: %(default)s)")
    parser.add_argument("--fractured", type=int, default=16, metavar="N", help="fractured necks (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
