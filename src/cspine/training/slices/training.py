"""From a recipe and a data set to trained networks, one for each fold."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cspine.errors import TrainingError
from cspine.training.core.beginning import begin_run
from cspine.training.core.data import same_cases, usable
from cspine.training.core.runs import Run
from cspine.training.pseudo_labels.teachers import Classroom, taught, teacher_of
from cspine.training.slices.batches import Sample
from cspine.training.slices.fitting import FoldData, Reporter, fit
from cspine.training.slices.settings import Recipe
from cspine.training.slices.stacks import prepare

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingPlace:
    """Where training reads and writes.

    Attributes:
        data: The data set folder.
        run: The folder of the run.
        cache: Where prepared studies are kept; runs may share it.
    """

    data: Path
    run: Path
    cache: Path


def start_run(recipe: Recipe, place: TrainingPlace, reporter: Reporter, *, skip_broken: bool = False) -> Run:
    """A new run of a recipe on a data set, not yet trained.

    Args:
        recipe: What shall be trained.
        place: Where its data lie.
        reporter: Who wants to know what is wrong with them.
        skip_broken: Go on without what is.

    Raises:
        DatasetError: The data set cannot be read or parted.
        OutputError: The folder of the run holds something.
        UsageError: The network cannot see such slices, or its weights are not there.
        TrainingError: The recipe needs a teacher, and has none or one that does not fit; or weights that cannot be had.
    """
    recipe.network.check(recipe.input)
    teacher_of(recipe)
    recipe.network.fetch()
    found = usable(place.data, skip_broken, reporter)
    return begin_run(recipe, place.data, found, place.run, skip_broken=skip_broken)


def train(recipe: Recipe, run: Run, place: TrainingPlace, chosen: Sequence[int], reporter: Reporter) -> None:
    """Trains the networks of some folds, each from its checkpoint on where there is one.

    Args:
        recipe: What the run was started with.
        run: The run.
        place: Where its data lie.
        chosen: Which folds.
        reporter: Who wants to know.

    Raises:
        TrainingError: The data set is not that of the run, or a fold does not exist.
        InputError: A study cannot be read.
    """
    check_folds(run, chosen)
    stacks = prepare(same_cases(run, place.data), recipe.input, place.cache, reporter.say)
    for number in chosen:
        reporter.say(f"fold {number}")
        rest = [stack for stack in stacks if run.facts.folds[stack.case.study_uid] != number]
        held_out = [stack for stack in stacks if run.facts.folds[stack.case.study_uid] == number]
        classroom = Classroom(place.cache, run.fold(number))
        rest = list(taught(rest, {stack.case.study_uid for stack in held_out}, recipe, classroom, reporter))
        fit(recipe, FoldData(number, [Sample.of(stack, recipe) for stack in rest], held_out), run.fold(number), reporter)


def check_folds(run: Run, chosen: Sequence[int]) -> None:
    """Makes sure that a run has some folds.

    Raises:
        TrainingError: One does not exist.
    """
    wrong = sorted(set(chosen) - set(run.facts.folds.values()))
    if wrong:
        raise TrainingError(f"The folds of this run are 0..{max(run.facts.folds.values())}. Received: {wrong[0]}")
