"""A family of networks as the core sees it, one seam for training, evaluation, calibration and export; and how one is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

from cspine.datasets import Case
from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.evaluation.leaky import LeakyAccuracy
from cspine.evaluation.localisation import StudyLocalisation
from cspine.training.core.backend import prepare_backend
from cspine.training.core.log import Reporter
from cspine.training.core.packages import PackageContents, PackageRequest
from cspine.training.core.runs import BatchSearch, Run, check_folds, same_cases, with_facts
from cspine.training.core.settings import Recipe

Prepared = TypeVar("Prepared")


@dataclass(frozen=True, slots=True)
class TrainingPlace:
    """Says where training reads and writes.

    Attributes:
        cache: Where prepared studies and synthetic necks are kept; runs may share it.
        data: The data set folder, or ``None`` where networks learn from synthetic necks alone.
        jobs: Processes that make necks.
    """

    cache: Path
    data: Path | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Fold:
    """The patients of one fold, and where its network goes.

    Attributes:
        number: Which patients are held out.
        home: Its folder.
        training_set: The patients to train on.
        held_out: The others.
    """

    number: int
    home: Path
    training_set: Sequence[Case] = ()
    held_out: Sequence[Case] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Holds what a network predicts for studies.

    Attributes:
        scores: Not calibrated, with the truth.
        localisations: Where it suspects fractures, in the same order; empty where that was not requested.
    """

    scores: StudyScores
    localisations: tuple[StudyLocalisation, ...] = ()


class Family(Protocol[Prepared]):
    """A recipe that knows how its networks are trained and packed."""

    @property
    def recipe(self) -> Recipe:
        """Returns what is trained."""
        ...

    @property
    def finds_fractures(self) -> bool:
        """Says whether its networks classify; then it is a :class:`Classifying` family."""
        ...

    def check(self) -> None:
        """Checks what can be checked before anything is prepared.

        Raises:
            UsageError: The network cannot be built so, or cannot see such an input.
            TrainingError: Weights that it begins with, or a teacher, cannot be had.
        """
        ...

    def begin(self, place: TrainingPlace, folder: Path, reporter: Reporter, *, skip_broken: bool) -> Run:
        """Returns a new run, not yet trained.

        Raises:
            DatasetError: The data set cannot be read or parted.
            OutputError: The folder holds something.
        """
        ...

    def prepare(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> Prepared:
        """Returns what all folds share.

        Raises:
            InputError: A study cannot be read.
            OutputError: The cache cannot be written.
        """
        ...

    def train(self, prepared: Prepared, fold: Fold, place: TrainingPlace, reporter: Reporter) -> None:
        """Trains the network of a fold, from its checkpoint on where there is one.

        Raises:
            TrainingError: The checkpoint does not fit, or the loss is NaN.
            InputError: A study cannot be read.
            OutputError: The folder of the fold cannot be written.
        """
        ...

    def package(
        self, run: Run, request: PackageRequest, facts: dict[str, Any], place: TrainingPlace, reporter: Reporter
    ) -> PackageContents:
        """Returns what a package of one network holds.

        Args:
            run: The run.
            request: What the package shall be called.
            facts: What every manifest of such a package says, by the name of the field.
            place: Where studies and their cache lie.
            reporter: Receives the progress.

        Raises:
            TrainingError: The fold is not trained.
            InputError: A study cannot be read.
        """
        ...


@runtime_checkable
class FillsCache(Protocol):
    """A family that prepares study by study, so that others may do it before, on several machines."""

    def fill_cache(self, cases: Sequence[Case], place: TrainingPlace, reporter: Reporter) -> None:
        """Puts all that training will need of some studies into the cache.

        Raises:
            InputError: A study cannot be read.
            OutputError: The cache cannot be written.
        """
        ...


class Classifying(Family[Prepared], Protocol[Prepared]):
    """A family whose networks find fractures."""

    def predict(self, network: Path, cases: Sequence[Case], cache: Path, reporter: Reporter, *, localise: bool) -> Predictions:
        """Returns what a network predicts for studies.

        Args:
            network: Its file.
            cases: The studies.
            cache: Where prepared studies are kept.
            reporter: Receives the progress.
            localise: Whether to return where it suspects fractures.

        Raises:
            InputError: A study cannot be read.
        """
        ...

    def leaky_accuracy(self, network: Path, training_set: Sequence[Case], cache: Path, reporter: Reporter) -> LeakyAccuracy | None:
        """Returns what a protocol that is known to be wrong reports of a network; ``None`` where its recipe is not made for it."""
        ...


def classifies(family: Family[Any]) -> TypeGuard[Classifying[Any]]:
    """Returns whether the networks of a family find fractures."""
    return family.finds_fractures


def start_run(
    family: Family[Any],
    place: TrainingPlace,
    folder: Path,
    reporter: Reporter,
    *,
    skip_broken: bool = False,
    searches: bool = False,
) -> Run:
    """Starts a run that is not yet trained; all that can be found wrong without reading scans is reported first.

    Args:
        family: What shall be trained.
        place: Where its data lie.
        folder: Of the run.
        reporter: Receives what is wrong with the data.
        skip_broken: Go on without what is.
        searches: The batch is to be searched for before training begins.

    Raises:
        UsageError: The network cannot be built so, or cannot see such an input.
        TrainingError: Weights or a teacher cannot be had.
        DatasetError: The data set cannot be read or parted.
        OutputError: The folder of the run holds something.
    """
    prepare_backend(family.recipe.fit.threads)
    family.check()
    run = family.begin(place, folder, reporter, skip_broken=skip_broken)
    return with_facts(run, batch_search=BatchSearch(family.recipe.fit.batch)) if searches else run


def cases_to_train(run: Run, place: TrainingPlace, chosen: Sequence[int]) -> tuple[Case, ...]:
    """Returns the studies that some folds of a run are trained on or held out from; none where it makes its necks itself.

    Raises:
        UsageError: A fold does not exist.
        TrainingError: The data set is not that of the run.
    """
    check_folds(run, chosen)
    if bool(run.facts.folds) != (place.data is not None):
        needed = f"learns from {run.facts.data}; give it with --data" if run.facts.folds else "was started without --data"
        raise TrainingError(f"A run goes on with the data that it was started with. {run.folder} {needed}.")
    return same_cases(run, place.data) if place.data is not None else ()


def train(family: Family[Any], run: Run, place: TrainingPlace, chosen: Sequence[int], reporter: Reporter) -> None:
    """Trains the networks of some folds, each from its checkpoint on where there is one.

    Args:
        family: What the run was started with.
        run: The run.
        place: Where its data lie.
        chosen: Which folds.
        reporter: Receives the progress.

    Raises:
        UsageError: A fold does not exist.
        TrainingError: The data set is not that of the run, or a checkpoint does not fit.
        InputError: A study cannot be read.
        OutputError: A folder cannot be written.
    """
    prepare_backend(family.recipe.fit.threads)
    cases = cases_to_train(run, place, chosen)
    prepared = family.prepare(cases, place, reporter)
    for number in chosen:
        reporter.say(f"fold {number}")
        fold = Fold(number, run.fold(number))
        if cases:
            parts = run.facts.folds
            fold = replace(
                fold,
                training_set=tuple(case for case in cases if parts[case.study_uid] != number),
                held_out=tuple(case for case in cases if parts[case.study_uid] == number),
            )
        family.train(prepared, fold, place, reporter)
