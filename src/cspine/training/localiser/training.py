"""From a recipe to a trained localiser: its pool of necks, the studies with masks, its run."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from cspine.datasets import Case
from cspine.errors import TrainingError
from cspine.modelpack import load_localiser
from cspine.training.core.backend import software
from cspine.training.core.beginning import begin_run
from cspine.training.core.data import same_cases, usable_masks
from cspine.training.core.overrides import settings
from cspine.training.core.runs import Run, RunFacts, create_run, open_run
from cspine.training.localiser.batches import Sources, fixed_windows
from cspine.training.localiser.fitting import fit_localiser
from cspine.training.localiser.masks import masked_images, patient_windows
from cspine.training.localiser.pool import Part, PoolImage, make_pool
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.slices.fitting import Reporter


@dataclass(frozen=True, slots=True)
class LocaliserPlace:
    """Where training of a localiser reads and writes.

    Attributes:
        run: The folder of the run.
        cache: Where necks and prepared studies are kept; runs may share it.
        data: A data set folder with masks, or ``None``: then it learns from synthetic necks alone.
        jobs: Processes that make necks.
    """

    run: Path
    cache: Path
    data: Path | None = None
    jobs: int = 1


def start_localiser(recipe: LocaliserRecipe, place: LocaliserPlace, reporter: Reporter, *, skip_broken: bool = False) -> Run:
    """A new run, not yet trained.

    Args:
        recipe: What shall be trained.
        place: Where.
        reporter: Who wants to know what is wrong with the data.
        skip_broken: Go on without what is.

    Raises:
        UsageError: The network cannot see such windows.
        PackageError: There is no package to begin with.
        DatasetError: The data set cannot be read or parted, or has no mask.
        OutputError: The folder holds something.
    """
    recipe.network.check(recipe.input)
    if recipe.start:
        load_localiser(recipe.start)
    if place.data is None:
        digest = hashlib.sha256(_made_of(recipe).encode()).hexdigest()
        return create_run(
            place.run, RunFacts(recipe.name, settings(recipe), "synthetic necks", recipe.pool.necks, digest, {}, software())
        )
    found = usable_masks(place.data, skip_broken, reporter)
    return begin_run(recipe, place.data, found, place.run, skip_broken=skip_broken)


def train_localiser(recipe: LocaliserRecipe, place: LocaliserPlace, chosen: Sequence[int], reporter: Reporter) -> None:
    """Trains the networks of some folds, each from its checkpoint on where there is one.

    Without a data set nobody is held out, and there is one network, in the place of fold 0.

    Args:
        recipe: What the run was started with.
        place: Where.
        chosen: Which folds.
        reporter: Who wants to know.

    Raises:
        TrainingError: There is no run, its data set is another, or a checkpoint does not fit.
        InputError: A study cannot be read.
        OutputError: A folder cannot be written.
    """
    run = open_run(place.run)
    if bool(run.facts.folds) != (place.data is not None):
        wanted = f"learns from masks of {run.facts.data}; give it with --data" if run.facts.folds else "was started without --data"
        raise TrainingError(f"A run goes on with the data that it was started with. {place.run} {wanted}.")
    cases = same_cases(run, place.data) if place.data is not None else ()
    pool = _necks(recipe, place, reporter) if recipe.masked.share < 1 or not cases else {}
    for number in chosen:
        reporter.say(f"fold {number}")
        if cases:
            kept, held_out = _parted(run, cases, number)
            sources = Sources(pool.get(Part.LEARN, []), _images(recipe, kept, place, reporter), recipe.masked.share)
            windows = partial(patient_windows, _images(recipe, held_out, place, reporter), recipe.input)
        else:
            sources, windows = Sources(pool[Part.LEARN]), partial(fixed_windows, pool[Part.CHOOSE], recipe)
        fit_localiser(recipe, sources, windows, run.fold(number), reporter)


def _necks(recipe: LocaliserRecipe, place: LocaliserPlace, reporter: Reporter) -> dict[Part, list[Path]]:
    name = hashlib.sha256(_made_of(recipe).encode()).hexdigest()[:16]
    return make_pool(place.cache / "necks" / name, recipe.pool, recipe.input, place.jobs, reporter.say)


def _images(recipe: LocaliserRecipe, cases: Sequence[Case], place: LocaliserPlace, reporter: Reporter) -> list[PoolImage]:
    """Pictures of patients, as large as those of necks."""
    z, y, x = (side + more for side, more in zip(recipe.input.size, recipe.pool.margin, strict=True))
    return masked_images(cases, (z, y, x), recipe.input, place.cache, reporter.say)


def _parted(run: Run, cases: Sequence[Case], fold: int) -> tuple[list[Case], list[Case]]:
    """Patients with masks to learn from, and those that choose the epoch."""
    masked = [case for case in cases if case.mask is not None]
    kept = [case for case in masked if run.facts.folds[case.study_uid] != fold]
    held_out = [case for case in masked if run.facts.folds[case.study_uid] == fold]
    if not kept or not held_out:
        raise TrainingError(
            f"A fold needs masks to learn from and masks to choose an epoch by. Fold {fold} of {run.folder} has {len(kept)} and "
            f"{len(held_out)}; take another fold, or start with other split settings."
        )
    return kept, held_out


def _made_of(recipe: LocaliserRecipe) -> str:
    """What a neck of the pool follows from, but for its number."""
    chosen = {key: value for key, value in asdict(recipe.pool).items() if key not in ("necks", "held_out")}
    return json.dumps([chosen, recipe.input.spacing_mm, recipe.input.size])
