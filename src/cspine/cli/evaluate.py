"""Judges a trained run on patients it has not seen.

With the data set that the run was trained on: each patient is judged by the network that held him out, with a calibration
that has not seen him either. With another data set: by the network of the first trained fold, with the calibration and
thresholds that `cspine export` gives it. OUT gets evaluation.json, evaluation.csv and scores.csv, and of phantoms fractures.csv:
how the levels fared by severity and kind of fracture. Every number has a bootstrap interval over patients.
"""

import argparse
from pathlib import Path

from cspine.cli.screen import Screen
from cspine.errors import OutputError
from cspine.recipes import load_recipe
from cspine.training.overrides import with_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run of `cspine train`")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="data set folder: that of the run, or an unseen one"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the numbers")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples of patients (default: 1000)")
    parser.add_argument("--skip-broken", action="store_true", help="go on without what is wrong with the data set, and say what")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from cspine.evaluation.fractures import by_fracture, fractures_csv, read_level_truths
    from cspine.evaluation.metrics import evaluate
    from cspine.evaluation.report import to_csv, to_json, to_table
    from cspine.training.backend import prepare_backend
    from cspine.training.judging import judge
    from cspine.training.runs import open_run

    current = open_run(options.run_folder)
    recipe = with_settings(load_recipe(current.facts.recipe), current.facts.settings)
    cache = options.cache or options.run_folder.absolute().parent / "cache"
    prepare_backend(recipe.fit.threads)
    with Screen() as screen:
        judged = judge(current, recipe, options.data, cache, screen, skip_broken=options.skip_broken)
        screen.say("bootstrap")
        evaluation = evaluate(judged.probabilities, judged.thresholds, resamples=options.resamples)
    about = {
        "recipe": current.facts.recipe,
        "run": options.run_folder.name,
        "data": options.data.resolve().name,
        "patients": judged.how,
        "operating_point": "balanced",
        "resamples": options.resamples,
    }
    _write(options.out, "scores.csv", judged.probabilities.to_csv())
    _write(options.out, "evaluation.csv", to_csv(evaluation))
    _write(options.out, "evaluation.json", to_json(evaluation, about))
    print(f"{current.facts.recipe}, {judged.how}\n\n{to_table(evaluation)}")  # noqa: T201
    truths = read_level_truths([case.truth for case in judged.cases])
    if truths is not None:
        threshold = judged.thresholds[1]
        groups = by_fracture(judged.probabilities, truths, threshold, resamples=options.resamples)
        _write(options.out, "fractures.csv", fractures_csv(groups))
    return 0


def _write(folder: Path, name: str, text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)
    except OSError as error:
        raise OutputError(f"The evaluation cannot be written to {folder}: {error.strerror}. Choose another folder.") from error
