"""Packages side by side, as they serve: from the DICOM of each study to its probabilities, on the same patients.

``python -m benchmarks.packages --data DIR -o OUT PACKAGE PACKAGE...`` evaluates every labelled study with every package, writes
``OUT/<package>/scores.csv``, which `cspine compare` takes too, and prints what each does, by how much it differs from the first
over the same bootstrap samples of patients, what it does on each level, and sensitivity and specificity of studies at its operating
points. On phantoms ``--fractures`` adds which levels are flagged, by severity, gap and kind of fracture and by look-alike, at the
`balanced` point. A level without a probability counts as 0. What was evaluated before is not evaluated again.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from cspine.datasets import Case, read_dataset
from cspine.detection import Detector
from cspine.evaluation import StudyScores
from cspine.evaluation.comparing import compare, comparison_table
from cspine.evaluation.fractures import LevelTruth, by_fracture, read_level_truths
from cspine.evaluation.metrics import evaluate
from cspine.modelpack import OperatingPoint, load_package
from cspine.reading import read_study
from cspine.results import StudyResult
from cspine.storage.files import write_text


def main() -> None:
    """Prints the table."""
    options = _arguments()
    cases = [case for case in read_dataset(options.data).cases if case.fractured is not None][: options.studies]
    found = {
        name: evaluated(partial(Detector, name, localiser=options.localiser), cases, options.out / Path(name).name)
        for name in options.packages
    }
    comparison = compare(found)
    print(f"{comparison.studies} patients, {comparison.fractured} fractured\n\n{comparison_table(comparison)}\n")
    for model in comparison.models[1:]:
        print(f"{model.name} less {comparison.models[0].name}: {', '.join(f'{m} {e}' for m, e in model.differences.items())}")
    print("\n".join(["", *by_level(found), ""]))
    for name, scores in found.items():
        print("\n".join(at_points(name, scores)))
    if options.fractures:
        truths = read_level_truths([case.truth for case in cases])
        if truths is None:
            raise SystemExit("benchmarks.packages: --fractures needs phantoms, whose truth says which fractures they have.")
        print("\n".join(["", *by_group(found, truths)]))


def by_group(found: Mapping[str, StudyScores], truths: Sequence[LevelTruth]) -> Iterator[str]:
    """Yields a table of groups of levels, and of what each package does on them."""
    groups = {name: by_fracture(scores, truths, _balanced(name).thresholds) for name, scores in found.items()}
    yield "| levels | number | " + " | ".join(f"{Path(name).name}: flagged | AUROC" for name in groups) + " |"
    yield "|---" * (2 + 2 * len(groups)) + "|"
    for same in zip(*groups.values(), strict=True):
        cells = [str(estimate) if math.isfinite(estimate.value) else "" for one in same for estimate in (one.flagged, one.auroc)]
        yield f"| {same[0].group} | {same[0].levels} | {' | '.join(cells)} |"


def _balanced(package: str) -> OperatingPoint:
    return next(point for point in load_package(package).manifest.operating_points if point.name == "balanced")


def by_level(found: Mapping[str, StudyScores]) -> Iterator[str]:
    """Yields a table of levels, and of how well each package tells fractured ones from intact ones."""
    outputs = {name: evaluate(scores, load_package(name).manifest.operating_points).outputs[1:] for name, scores in found.items()}
    yield "| level | fractured | " + " | ".join(f"{Path(name).name}: AUROC | average precision" for name in outputs) + " |"
    yield "|---" * (2 + 2 * len(outputs)) + "|"
    for same in zip(*outputs.values(), strict=True):
        cells = [str(one.estimates[metric]) for one in same for metric in ("auroc", "average_precision")]
        yield f"| {same[0].output} | {same[0].fractured} | {' | '.join(cells)} |"


def at_points(package: str, scores: StudyScores) -> Iterator[str]:
    """Yields sensitivity and specificity of studies at each operating point of a package."""
    points = load_package(package).manifest.operating_points
    found = evaluate(scores, points).outputs[0].estimates
    for point in points:
        shares = ", ".join(f"{share} {found[f'{share}_{point.name}']}" for share in ("sensitivity", "specificity"))
        yield f"{package} {point.name}, levels from {point.thresholds[1]:.3f}: {shares}"


def evaluated(load: Callable[[], Detector], cases: Sequence[Case], folder: Path) -> StudyScores:
    """Returns what a package predicts for labelled studies, from ``folder/scores.csv`` where it has predicted them before."""
    path = folder / "scores.csv"
    if path.is_file():
        return StudyScores.from_csv(path)
    detector, outcome = load(), []
    for number, case in enumerate(cases, 1):
        outcome.append(_probabilities(detector(read_study(case.images))))
        print(f"{folder.name}: {number}/{len(cases)}", end="\r", flush=True)
    truth = np.array([[any(case.fractured or ()), *(case.fractured or ())] for case in cases], dtype=bool)
    scores = StudyScores(tuple(case.study_uid for case in cases), truth, np.array(outcome))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, scores.to_csv())
    return scores


def _probabilities(result: StudyResult) -> list[float]:
    assessments = (result.overall, *(finding.assessment for finding in result.levels))
    return [0.0 if assessment is None else assessment.probability for assessment in assessments]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", metavar="PACKAGE", help="name or folder; differences are to the first")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data set that no package has learnt from")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="where scores go")
    parser.add_argument("--localiser", metavar="PACKAGE", help="package that finds the vertebrae (default: the shipped one)")
    parser.add_argument("--fractures", action="store_true", help="of phantoms: by severity, gap and kind, and by look-alike")
    parser.add_argument("--studies", type=int, metavar="N", help="only the first N studies")
    return parser.parse_args()


if __name__ == "__main__":
    main()
