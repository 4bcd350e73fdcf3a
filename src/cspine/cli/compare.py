"""Compares models on the same patients: what each does, and by how much it differs from the first.

A source is a folder that `cspine evaluate` wrote, or a run, which is evaluated out of fold from the scores of the patients that
it held out. OUT gets comparison.html, comparison.json and comparison.csv. Differences are bootstrapped over the same samples of
patients.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.files import print_files, write_result
from cspine.cli.keras_import import load_keras
from cspine.errors import UsageError

if TYPE_CHECKING:
    from cspine.evaluation import StudyScores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("sources", nargs="+", type=Path, metavar="RUN", help="a run, or a folder that `cspine evaluate` wrote")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the comparison")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples of patients (default: 1000)")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from cspine.evaluation.comparing import compare, comparison_csv, comparison_html, comparison_json, comparison_table

    comparison = compare(_named(options.sources), resamples=options.resamples)
    for name, text in (
        ("comparison.csv", comparison_csv(comparison)),
        ("comparison.json", comparison_json(comparison)),
        ("comparison.html", comparison_html(comparison)),
    ):
        write_result(options.out, name, text)
    print(f"{comparison.studies} patients, {comparison.fractured} fractured\n\n{comparison_table(comparison)}")  # noqa: T201
    print_files(options.out, ("comparison.csv", "comparison.json", "comparison.html"))
    return 0


def _named(sources: list[Path]) -> "dict[str, StudyScores]":
    """Returns the probabilities of each source, by the shortest name that tells them apart."""
    found = {}
    names = [source.resolve().name for source in sources]
    for source, name in zip(sources, names, strict=True):
        whole = name if names.count(name) == 1 else "/".join(source.resolve().parts[-2:])
        if whole in found:
            raise UsageError(f"A source can be compared with others, not with itself. Received twice: {source}")
        found[whole] = _probabilities(source)
    return found


def _probabilities(source: Path) -> "StudyScores":
    from cspine.evaluation import StudyScores

    if (source / "scores.csv").is_file():
        return StudyScores.from_csv(source / "scores.csv")
    if (source / "run.json").is_file():
        load_keras()
        from cspine.cli.families import classifying_family_of_run
        from cspine.training.core.evaluation import out_of_fold_probabilities
        from cspine.training.core.runs import open_run

        run = open_run(source)
        classifying_family_of_run(run)
        return out_of_fold_probabilities(run)
    raise UsageError(
        f"A source is a run of `cspine train` or a folder of `cspine evaluate`. Received: {source}, which has neither run.json nor "
        "scores.csv."
    )
