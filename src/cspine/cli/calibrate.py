"""Fits the probabilities and thresholds of a trained run on another data set.

The studies of DIR must have had no part in the run. `cspine evaluate` on unseen studies and `cspine export` then use them
instead of the run's held-out patients: a run on fracture-enriched phantoms needs that, as fractures
there are far more frequent than in life.
"""

import argparse
from pathlib import Path

from cspine.cli.keras_import import load_keras
from cspine.cli.precision import add_precision
from cspine.cli.screen import Screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run of `cspine train`")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data set folder that had no part in the run")
    parser.add_argument("--skip-broken", action="store_true", help="leave out what is broken in the data set, and list it")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared studies are kept (default: cache beside RUN)")
    add_precision(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    load_keras()
    from cspine.cli.families import classifying_family_of_run
    from cspine.training.core.backend import calculating_in, prepare_backend
    from cspine.training.core.evaluation import calibrate
    from cspine.training.core.runs import open_run

    current = open_run(options.run_folder)
    family = classifying_family_of_run(current)
    cache = options.cache or options.run_folder.absolute().parent / "cache"
    prepare_backend(family.recipe.fit.threads)
    with Screen() as screen, calculating_in(options.precision):
        studies = calibrate(current, family, options.data, cache, screen, skip_broken=options.skip_broken)
    print(f"calibrated on {studies} studies: {options.run_folder}")  # noqa: T201
    return 0
