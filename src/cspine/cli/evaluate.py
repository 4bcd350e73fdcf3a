"""Evaluates a trained run on patients it has not seen.

With the data set that the run was trained on, each patient is classified by the network that held the patient out, and
calibrated without the patient. With another data set: by the network of the first trained fold, with the calibration and
thresholds that `cspine export` gives it. OUT gets evaluation.html, evaluation.json, evaluation.csv, and scores.csv, which
`cspine compare` reads. Every number has a bootstrap interval over patients.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cspine.cli.engine import add_engine, check_engine, cluster_of
from cspine.cli.files import print_files, write_result
from cspine.cli.keras_import import load_keras
from cspine.cli.precision import add_precision, check_precision
from cspine.cli.screen import Screen
from cspine.errors import UsageError

if TYPE_CHECKING:
    from cspine.evaluation.report import Report
    from cspine.training.core.evaluation import EvaluationOptions, RunEvaluation
    from cspine.training.core.family import Classifying
    from cspine.training.core.finding import Finder
    from cspine.training.core.runs import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run of `cspine train`")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="data set folder: that of the run, or an unseen one"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the numbers and the page")
    parser.add_argument(
        "--prevalence",
        type=float,
        metavar="P",
        help="report predictive values for patients of whom this share, 0..1, has any fracture",
    )
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples of patients (default: 1000)")
    parser.add_argument("--no-localisation", action="store_true", help="skip localisation; out of fold no network then runs")
    parser.add_argument(
        "--masks",
        action="store_true",
        help="trust the masks of studies that have one, not the localiser alone",
    )
    parser.add_argument("--skip-broken", action="store_true", help="leave out what is broken in the data set, and list it")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")
    add_precision(parser)
    add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    check_engine(options)
    check_precision(options)
    load_keras()
    from cspine.cli.families import classifying_family_of_run
    from cspine.evaluation.page import to_html
    from cspine.evaluation.report import to_csv, to_json, to_table
    from cspine.training.core.backend import calculating_in, prepare_backend
    from cspine.training.core.evaluation import EvaluationOptions
    from cspine.training.core.finding import Finder
    from cspine.training.core.runs import open_run

    if options.prevalence is not None and not 0 < options.prevalence < 1:
        raise UsageError(f"--prevalence needs a share between 0 and 1. Received: {options.prevalence:g}")
    current = open_run(options.run_folder)
    finder = Finder.MASK if options.masks else Finder.LOCALISER
    family = classifying_family_of_run(current, finder)
    cache = options.cache.absolute() if options.cache else options.run_folder.absolute().parent / "cache"
    prepare_backend(family.recipe.fit.threads)
    with Screen() as screen:
        how = EvaluationOptions(cache, skip_broken=options.skip_broken, localise=not options.no_localisation)
        with calculating_in(options.precision):
            found = _evaluated(Evaluating(current, family, finder, how), options, screen)
        screen.say("bootstrap")
        about = _about(current, found, options)
        report = _report(found, about, options.resamples, options.prevalence)
    for name, text in (
        ("scores.csv", found.probabilities.to_csv()),
        ("evaluation.csv", to_csv(report)),
        ("evaluation.json", to_json(report)),
        ("evaluation.html", to_html(report)),
    ):
        write_result(options.out, name, text)
    print(f"{current.facts.recipe}, {about['patients']}\n\n{to_table(report)}")  # noqa: T201
    print_files(options.out, ("scores.csv", "evaluation.csv", "evaluation.json", "evaluation.html"))
    return 0


@dataclass(frozen=True)
class Evaluating:
    """Holds what is evaluated.

    Attributes:
        run: The run.
        family: Predicts with its networks.
        finder: What finds the vertebrae.
        how: In which way.
    """

    run: "Run"
    family: "Classifying[Any]"
    finder: "Finder"
    how: "EvaluationOptions"


def _evaluated(evaluating: Evaluating, options: argparse.Namespace, screen: Screen) -> "RunEvaluation":
    """Evaluates a run, with predictions made here or by the workers of a cluster."""
    from cspine.training.core.evaluation import evaluate_run

    current, how, data = evaluating.run, evaluating.how, options.data.absolute()
    if options.engine == "local":
        return evaluate_run(current, evaluating.family, data, how, screen)
    from cspine.cli.spread import on_cluster, predicting_elsewhere
    from cspine.training.core.family import TrainingPlace

    with on_cluster(cluster_of(options), current, TrainingPlace(how.cache, data), screen) as spread_run:
        family = predicting_elsewhere(evaluating.family, evaluating.finder, spread_run)
        return evaluate_run(current, family, data, how, screen)


def _about(current: "Run", found: "RunEvaluation", options: argparse.Namespace) -> dict[str, Any]:
    """Returns what a report says of the run, its data and its patients."""
    return {
        "recipe": current.facts.recipe,
        "run": options.run_folder.name,
        "data": options.data.resolve().name,
        "patients": found.how if options.precision == "float32" else f"{found.how}, in {options.precision}",
        "thresholds": found.thresholds,
        "subjects": _subjects(found),
        "resamples": options.resamples,
        "prevalence": options.prevalence,
    }


def _report(found: "RunEvaluation", about: dict[str, Any], resamples: int, prevalence: float | None) -> "Report":
    from cspine.evaluation.fractures import by_fracture, read_level_truths
    from cspine.evaluation.localisation import localisation_metrics
    from cspine.evaluation.metrics import evaluate
    from cspine.evaluation.report import Report
    from cspine.evaluation.shortcuts import shortcuts

    truths = read_level_truths([case.truth for case in found.cases])
    return Report(
        about,
        evaluate(found.probabilities, found.points, found.fitted_overall, prevalence=prevalence, resamples=resamples),
        found.probabilities,
        by_fracture(found.probabilities, truths, found.points[0].thresholds, resamples=resamples) if truths is not None else (),
        localisation_metrics(found.localisations, resamples=resamples) if found.localisations else None,
        shortcuts(found.probabilities, _traits(found), resamples=resamples),
        found.leaky,
    )


def _traits(found: "RunEvaluation") -> dict[str, Any]:
    """Returns what the headers say of each study, by the name of the trait."""
    from dataclasses import asdict

    import numpy as np

    from cspine.datasets import traits

    rows = [asdict(traits(case)) for case in found.cases]
    return {name: np.array([one[name] for one in rows]) for name in rows[0]}


def _subjects(found: "RunEvaluation") -> str:
    """Returns what the numbers were measured on: phantoms, patients or both."""
    synthetic = {case.truth is not None for case in found.cases}
    return "both" if len(synthetic) == 2 else "phantoms" if True in synthetic else "patients"
