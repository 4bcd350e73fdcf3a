"""What narrow numbers do to the flagship: probabilities, AUROC and seconds in f32 and bf16, on the same crops.

``python -m benchmarks.precision PACKAGE --run RUN --data DIR`` predicts the studies of a data set twice with the exported network
of a package that classifies vertebra by vertebra. RUN says how crops are cut; those that an evaluation has cut come from its
cache.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from cspine.cli.examiners import examiner_of
from cspine.datasets import read_dataset
from cspine.evaluation import StudyScores
from cspine.evaluation.metrics import auroc, mean_level_auroc
from cspine.modelpack import VertebraManifest, load_package
from cspine.modelpack.tta import combine_tta
from cspine.runtime import Engine, open_session
from cspine.training.core.runs import open_run
from cspine.training.vertebrae.crops import Cutting, StudyCrops, prepare_crops
from cspine.training.vertebrae.examining import VertebraExaminer
from cspine.training.vertebrae.prediction import scores_of, study_views
from cspine.training.vertebrae.settings import VertebraRecipe


def main() -> None:
    """Prints a table in Markdown."""
    options = _arguments()
    package, examiner = load_package(options.package), examiner_of(open_run(options.run_folder))
    if not isinstance(examiner, VertebraExaminer) or not isinstance(package.manifest, VertebraManifest):
        raise SystemExit("A package and a run that evaluate vertebra by vertebra are needed.")
    cache = options.cache or options.run_folder.absolute().parent / "cache"
    cases = read_dataset(options.data).cases
    studies = prepare_crops(cases, Cutting(examiner.recipe.input, examiner.recipe.crops, examiner.finder), cache, lambda _: None)
    calibrated = {}
    print("| precision | AUROC, any fracture | mean of levels | ms a study, median |")
    print("|---|---|---|---|")
    for precision in ("f32", "bf16"):
        path = package.network_path(VertebraManifest.KIND)
        scores, taken = _evaluated(path, precision, studies, examiner.recipe)
        calibrated[precision] = package.manifest.calibration.apply(scores.scores)
        overall = auroc(scores.truth[:, 0], calibrated[precision][:, 0])
        levels = mean_level_auroc(scores.truth, calibrated[precision])
        print(f"| {precision} | {overall:.4f} | {levels:.4f} | {1000 * taken:.0f} |")
    apart = np.abs(calibrated["f32"] - calibrated["bf16"])
    print(f"\nprobabilities part by {apart.mean():.4f} on average, {apart.max():.4f} at most; {len(studies)} studies")


def _evaluated(path: Path, precision: str, studies: list[StudyCrops], recipe: VertebraRecipe) -> tuple[StudyScores, float]:
    session, seen, taken = open_session(path, Engine(precision=precision)), [], []
    for study in studies:
        views = study_views(study, recipe)
        begin = time.perf_counter()
        said = [session.run(view[None]) for view in views]
        taken.append(time.perf_counter() - begin)
        seen.append(combine_tta({name: np.concatenate([one[name] for one in said]) for name in said[0]}))
    return scores_of(studies, seen), statistics.median(taken)


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
