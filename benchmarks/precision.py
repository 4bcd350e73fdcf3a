"""Compares the flagship in f32 and bf16 on the same crops: probabilities, AUROC and seconds.

``python -m benchmarks.precision PACKAGE --run RUN --data DIR`` classifies the studies of a data set twice with the exported
network of a package that classifies vertebra by vertebra. RUN says how crops are cut; those that an evaluation has cut come from
its cache.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from cspine.cli.families import classifying_family_of_run
from cspine.datasets import read_dataset
from cspine.evaluation import StudyScores
from cspine.evaluation.metrics import auroc, mean_level_auroc
from cspine.modelpack import VertebraManifest, load_package
from cspine.modelpack.tta import combine_tta
from cspine.runtime import Engine, open_session
from cspine.training.core.runs import open_run
from cspine.training.vertebrae.crops import Cutting, StudyCrops, prepare_crops
from cspine.training.vertebrae.family import VertebraFamily
from cspine.training.vertebrae.prediction import scores_of, tta_study_inputs
from cspine.training.vertebrae.settings import VertebraRecipe


def main() -> None:
    """Prints a table in Markdown."""
    options = _arguments()
    package, family = load_package(options.package), classifying_family_of_run(open_run(options.run_folder))
    if not isinstance(family, VertebraFamily) or not isinstance(package.manifest, VertebraManifest):
        raise SystemExit("A package and a run that classify vertebra by vertebra are needed.")
    cache = options.cache or options.run_folder.absolute().parent / "cache"
    cases = read_dataset(options.data).cases
    studies = prepare_crops(cases, Cutting(family.recipe, family.finder), cache, lambda _: None)
    calibrated = {}
    print("| precision | AUROC, any fracture | mean of levels | ms a study, median |")
    print("|---|---|---|---|")
    for precision in ("f32", "bf16"):
        path = package.network_path(VertebraManifest.KIND)
        scores, taken = _predicted(path, precision, studies, family.recipe)
        calibrated[precision] = package.manifest.calibration.apply(scores.scores)
        overall = auroc(scores.truth[:, 0], calibrated[precision][:, 0])
        levels = mean_level_auroc(scores.truth, calibrated[precision])
        print(f"| {precision} | {overall:.4f} | {levels:.4f} | {1000 * taken:.0f} |")
    apart = np.abs(calibrated["f32"] - calibrated["bf16"])
    print(f"\nprobabilities part by {apart.mean():.4f} on average, {apart.max():.4f} at most; {len(studies)} studies")


def _predicted(path: Path, precision: str, studies: list[StudyCrops], recipe: VertebraRecipe) -> tuple[StudyScores, float]:
    session, predictions, taken = open_session(path, Engine(precision=precision)), [], []
    for study in studies:
        inputs = tta_study_inputs(study, recipe)
        begin = time.perf_counter()
        passes = [session.run(one[None]) for one in inputs]
        taken.append(time.perf_counter() - begin)
        predictions.append(combine_tta({name: np.concatenate([one[name] for one in passes]) for name in passes[0]}))
    return scores_of(studies, predictions), statistics.median(taken)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", metavar="PACKAGE", help="folder or name of a package of kind vertebrae")
    parser.add_argument(
        "--run", type=Path, required=True, dest="run_folder", metavar="RUN", help="the run that it was exported from"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data set that was not learnt from")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where crops are kept (default: cache beside RUN)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
