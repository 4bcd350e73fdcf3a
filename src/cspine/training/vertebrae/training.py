"""From a recipe and a data set to trained networks that judge vertebra by vertebra, one for each fold."""

from collections.abc import Sequence

from cspine.training.beginning import begin_run
from cspine.training.fitting import Reporter
from cspine.training.runs import Run
from cspine.training.training import TrainingPlace, check_folds
from cspine.training.usable import same_cases, usable
from cspine.training.vertebrae.crops import Cutting, prepare_crops
from cspine.training.vertebrae.fitting import fit_vertebrae
from cspine.training.vertebrae.patch_fitting import VertebraFold
from cspine.training.vertebrae.recipe import VertebraRecipe


def start_vertebrae(recipe: VertebraRecipe, place: TrainingPlace, reporter: Reporter, *, skip_broken: bool = False) -> Run:
    """A new run of a recipe on a data set, not yet trained.

    Args:
        recipe: What shall be trained.
        place: Where its data lie.
        reporter: Who wants to know what is wrong with them.
        skip_broken: Go on without what is.

    Raises:
        DatasetError: The data set cannot be read or parted.
        OutputError: The folder of the run holds something.
        UsageError: The network cannot see such crops.
    """
    recipe.network.check(recipe.input)
    found = usable(place.data, skip_broken, reporter)
    return begin_run(recipe, place.data, found, place.run, skip_broken=skip_broken)


def train_vertebrae(recipe: VertebraRecipe, run: Run, place: TrainingPlace, chosen: Sequence[int], reporter: Reporter) -> None:
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
        PackageError: The localiser that studies without masks need is not there.
    """
    check_folds(run, chosen)
    cases = same_cases(run, place.data)
    for number in chosen:
        reporter.say(f"fold {number}")
        rest = [case for case in cases if run.facts.folds[case.study_uid] != number]
        held_out = [case for case in cases if run.facts.folds[case.study_uid] == number]
        turned = [
            study
            for turn in range(1, recipe.crops.turns + 1)
            for study in prepare_crops(rest, Cutting(recipe.input, recipe.crops, turn=turn), place.cache, reporter.say)
        ]
        judged = prepare_crops(held_out, Cutting(recipe.input, recipe.crops), place.cache, reporter.say)
        fit_vertebrae(recipe, VertebraFold(number, turned, judged), run.fold(number), reporter)
