"""From a recipe to a trained refiner: its pool of necks, its run."""

import hashlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from cspine.modelpack import load_localiser
from cspine.training.core.backend import software
from cspine.training.core.overrides import settings
from cspine.training.core.runs import Run, RunFacts, create_run, open_run
from cspine.training.localiser.pool import Part, fill_pool
from cspine.training.refiner.fitting import fit_refiner
from cspine.training.refiner.pool import draw_strip
from cspine.training.refiner.settings import RefinerRecipe
from cspine.training.slices.fitting import Reporter

_NETWORK = 0
"""A refiner has one network: what it learns from is made, so nothing is held out in folds."""


def start_refiner(recipe: RefinerRecipe, folder: Path) -> Run:
    """A new run, not yet trained.

    Raises:
        UsageError: The network cannot see such crops.
        PackageError: There is no package to begin with.
        OutputError: The folder holds something.
    """
    recipe.network.check(recipe.input)
    if recipe.start:
        load_localiser(recipe.start)
    digest = hashlib.sha256(_made_of(recipe).encode()).hexdigest()
    return create_run(folder, RunFacts(recipe.name, settings(recipe), "synthetic necks", recipe.pool.necks, digest, {}, software()))


def train_refiner(recipe: RefinerRecipe, folder: Path, cache: Path, jobs: int, reporter: Reporter) -> None:
    """Trains the network of a run, from its checkpoint on where there is one.

    Args:
        recipe: What the run was started with.
        folder: The run.
        cache: Where necks are kept; runs with the same pool share them.
        jobs: Processes that make them.
        reporter: Who wants to know.

    Raises:
        TrainingError: There is no run, or its checkpoint does not fit.
        OutputError: A folder cannot be written.
    """
    home = open_run(folder).fold(_NETWORK)
    name = hashlib.sha256(_made_of(recipe).encode()).hexdigest()[:16]
    counts = {Part.LEARN: recipe.pool.necks, Part.CHOOSE: recipe.pool.held_out}
    pool = fill_pool(cache / "necks" / name, partial(draw_strip, recipe.pool, recipe.input), counts, jobs, reporter.say)
    fit_refiner(recipe, pool[Part.LEARN], pool[Part.CHOOSE], home, reporter)


def _made_of(recipe: RefinerRecipe) -> str:
    """What a neck of the pool follows from, but for its number."""
    chosen = {key: value for key, value in asdict(recipe.pool).items() if key not in ("necks", "held_out")}
    return json.dumps([chosen, recipe.input.spacing_mm])
