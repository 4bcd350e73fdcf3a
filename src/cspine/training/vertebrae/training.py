"""From a recipe and a data set to trained networks that judge vertebra by vertebra, one for each fold."""

from collections.abc import Sequence

from cspine.datasets import Case
from cspine.training.core.beginning import begin_run
from cspine.training.core.data import same_cases, usable
from cspine.training.core.runs import Run
from cspine.training.slices.fitting import Reporter
from cspine.training.slices.training import TrainingPlace, check_folds
from cspine.training.vertebrae.crops import Cutting, Finder, StudyCrops, prepare_crops
from cspine.training.vertebrae.fitting import fit_vertebrae
from cspine.training.vertebrae.patch_fitting import VertebraFold
from cspine.training.vertebrae.settings import VertebraRecipe


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
        PackageError: The localiser that is needed is not there.
    """
    check_folds(run, chosen)
    cases = same_cases(run, place.data)
    for number in chosen:
        reporter.say(f"fold {number}")
        rest = [case for case in cases if run.facts.folds[case.study_uid] != number]
        held_out = [case for case in cases if run.facts.folds[case.study_uid] == number]
        data = VertebraFold(number, *_cut(recipe, rest, held_out, place, reporter))
        fit_vertebrae(recipe, data, run.fold(number), reporter)


def _cut(
    recipe: VertebraRecipe, rest: Sequence[Case], held_out: Sequence[Case], place: TrainingPlace, reporter: Reporter
) -> tuple[list[StudyCrops], list[StudyCrops]]:
    """What is learnt from, each study as often as it is cut, and what is held out."""

    def cut(cases: Sequence[Case], finder: Finder, turn: int) -> list[StudyCrops]:
        return prepare_crops(cases, Cutting(recipe.input, recipe.crops, finder, turn), place.cache, reporter.say)

    crops = recipe.crops
    turned = [study for turn in range(1, crops.turns + 1) for study in cut(rest, Finder.MASK, turn)]
    if crops.found:
        turned += cut([case for case in rest if case.mask is not None], Finder.LOCALISER, 0)
    return turned, cut(held_out, Finder.LOCALISER if crops.found else Finder.MASK, 0)
