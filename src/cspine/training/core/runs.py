"""A training run on disk: what was trained, on which data, how, and what came of it."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cspine
from cspine.datasets import Case, Dataset, Problem, check_once, folds, read_dataset, verified, without
from cspine.datasets.cache import Cache
from cspine.errors import DatasetError, OutputError, TrainingError, UsageError, one_line
from cspine.evaluation import StudyScores
from cspine.storage.codec import decode
from cspine.storage.files import write_text
from cspine.storage.strict_json import read_json
from cspine.training.core.backend import software
from cspine.training.core.log import Reporter
from cspine.training.core.settings import Recipe, settings

CHECKPOINT, LOG, HELD_OUT = "checkpoint.npz", "log.csv", "held_out.csv"
BEST, LAST = "best.keras", "last.keras"
CALIBRATION = "calibration.csv"
"""Scores of patients that had no part in the run, where it was calibrated on such."""

_FACTS = "run.json"
_SCHEMA = 2


@dataclass(frozen=True, slots=True)
class BatchSearch:
    """Says how the batch of a run is chosen, where its settings leave that to the memory of a GPU.

    Attributes:
        recipe: Batch of the recipe, with which the search begins.
        found: The largest that fits; ``None`` until one is found.
        refused: The smallest of those tried that does not fit; ``None`` where all did.
        device: Name of the GPU.
    """

    recipe: int
    found: int | None = None
    refused: int | None = None
    device: str | None = None

    def sentence(self) -> str:
        """Returns what was found, as a sentence."""
        if self.found is None:
            return "fit.batch=auto has not tried any batch yet."
        limit = "is the most that is tried" if self.refused is None else f"fits, {self.refused} does not"
        return f"fit.batch=auto: {self.found} {limit} on {self.device}; the recipe has {self.recipe}."


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Holds what a run was started with.

    Attributes:
        recipe: Name of its recipe.
        settings: Every setting, by its dotted name.
        data: Name of the data set folder.
        studies: Number of labelled studies in it.
        digest: Of their names and labels: the same digest, the same data.
        folds: Fold of each study.
        software: What trained it.
        broken: Codes of what is wrong with studies of the folder, by study, where the run goes on without it; ``None`` where
            nothing may be wrong.
        batch_search: How the batch in ``settings`` was found; ``None`` where it was given.
        cspine_version: Version of this package.
        schema: Version of this file.
    """

    recipe: str
    settings: dict[str, str]
    data: str
    studies: int
    digest: str
    folds: dict[str, int]
    software: str
    broken: dict[str, list[str]] | None = None
    batch_search: BatchSearch | None = None
    cspine_version: str = cspine.__version__
    schema: int = _SCHEMA

    @property
    def searches(self) -> bool:
        """Returns whether the batch is still to be searched for."""
        return self.batch_search is not None and self.batch_search.found is None


@dataclass(frozen=True, slots=True)
class Run:
    """A training run.

    Attributes:
        folder: Where it lies.
        facts: What it was started with.
        dataset: What it was started on, as the process that started it has read it; ``None`` where another did.
    """

    folder: Path
    facts: RunFacts
    dataset: Dataset | None = field(default=None, repr=False, compare=False)

    @property
    def fold_numbers(self) -> tuple[int, ...]:
        """Returns the folds of its patients; a run that holds nobody out has one network, in the place of fold 0."""
        return tuple(sorted(set(self.facts.folds.values()) or {0}))

    def fold(self, number: int) -> Path:
        """Returns the folder of the network that holds out fold ``number``."""
        return self.folder / f"fold-{number}"

    def trained_folds(self) -> tuple[int, ...]:
        """Returns the folds whose training has ended."""
        return tuple(number for number in self.fold_numbers if _has_ended(self.fold(number)))

    def network(self, fold: int) -> Path:
        """Returns the file of the network that was trained without the patients of a fold.

        Raises:
            TrainingError: Its training has not ended.
        """
        if fold not in self.trained_folds():
            done = ", ".join(str(n) for n in self.trained_folds()) or "none"
            raise TrainingError(
                f"Fold {fold} of {self.folder} must be trained to its end. Trained: {done}. Run `cspine train --resume`."
            )
        home = self.fold(fold)
        return home / LAST if (home / LAST).is_file() else home / BEST

    def held_out_scores(self, fold: int) -> StudyScores:
        """Returns the scores of the patients that a network has not seen.

        Raises:
            TrainingError: Its training has not ended.
        """
        self.network(fold)
        return StudyScores.from_csv(self.fold(fold) / HELD_OUT)

    def is_calibrated(self, fold: int) -> bool:
        """Returns whether a network was calibrated on patients that had no part in the run."""
        return (self.fold(fold) / CALIBRATION).is_file()

    def calibration_scores(self, fold: int) -> StudyScores:
        """Returns the scores that calibration and thresholds are fitted to: of another data set, or of the held-out patients.

        Raises:
            TrainingError: The network's training has not ended.
        """
        held_out = self.held_out_scores(fold)
        return StudyScores.from_csv(self.fold(fold) / CALIBRATION) if self.is_calibrated(fold) else held_out


def _has_ended(home: Path) -> bool:
    """Returns whether training has ended: the best network is there from the first epoch on, the last one only then."""
    return (home / LAST).is_file() or ((home / BEST).is_file() and (home / HELD_OUT).is_file())


def data_digest(cases: Sequence[Case]) -> str:
    """Returns one name for a set of studies and their labels."""
    facts = sorted((case.study_uid, [int(f) for f in case.fractured or ()]) for case in cases)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def begin_on_cases(recipe: Recipe, data: Path | None, cache: Path, folder: Path, reporter: Reporter, *, skip_broken: bool) -> Run:
    """Returns a new run of a recipe that classifies, on all that can be used of a data set.

    Args:
        recipe: As for :func:`begin_on_data`.
        data: The folder of the data set; one is needed.
        cache: Where it is known what checks of its studies found.
        folder: Of the run.
        reporter: Receives what is wrong with the data.
        skip_broken: Whether the run goes on without what is broken.

    Raises:
        UsageError: There is no data set.
        DatasetError: It cannot be read or parted.
        OutputError: The folder holds something.
    """
    if data is None:
        raise UsageError(f"{recipe.name} needs --data DIR, a data set folder with train.csv and train_images.")
    return begin_on_data(recipe, checked_cases(data, skip_broken, cache, reporter), data, folder, skip_broken=skip_broken)


def begin_on_data(recipe: Recipe, found: Dataset, data: Path, folder: Path, *, skip_broken: bool) -> Run:
    """Returns a new run of a recipe on what can be used of a data set; its patients are parted.

    Args:
        recipe: What shall be trained; it has ``split``.
        found: What can be used of the data set.
        data: The folder of the data set.
        folder: Of the run.
        skip_broken: Whether the run goes on without what is broken.

    Raises:
        DatasetError: The data set cannot be parted.
        OutputError: The folder holds something.
    """
    split: Any = getattr(recipe, "split")  # noqa: B009  # recipes that learn from synthetic necks alone have none
    parts = folds(found.cases, split.folds, split.seed)
    facts = RunFacts(
        recipe=recipe.name,
        settings=settings(recipe),
        data=data.resolve().name,
        studies=len(found.cases),
        digest=data_digest(found.cases),
        folds={case.study_uid: part for case, part in zip(found.cases, parts, strict=True)},
        software=software(),
        broken=_codes_of(found) if skip_broken else None,
    )
    return replace(create_run(folder, facts), dataset=found)


def begin_on_necks(recipe: Recipe, necks: int, made_of: str, folder: Path) -> Run:
    """Returns a new run of a recipe on synthetic necks; nobody is held out.

    Args:
        recipe: What shall be trained.
        necks: How many there are.
        made_of: What they follow from.
        folder: Of the run.

    Raises:
        OutputError: The folder holds something.
    """
    digest = hashlib.sha256(made_of.encode()).hexdigest()
    return create_run(folder, RunFacts(recipe.name, settings(recipe), "synthetic necks", necks, digest, {}, software()))


def create_run(folder: Path, facts: RunFacts) -> Run:
    """Returns a new run in a new or empty folder.

    Raises:
        OutputError: The folder holds something, or cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"A run needs a new or empty folder. {folder} holds something; give --resume to go on with a run.")
        folder.mkdir(parents=True, exist_ok=True)
        _write_facts(folder, facts)
    except OSError as error:
        raise OutputError(f"A run cannot be written to {folder}: {error.strerror}. Choose another folder.") from error
    return Run(folder, facts)


def with_facts(run: Run, **changes: Any) -> Run:
    """Returns a run some facts of which have changed, in its file too.

    Raises:
        OutputError: The file cannot be written.
    """
    changed = replace(run, facts=replace(run.facts, **changes))
    try:
        _write_facts(run.folder, changed.facts)
    except OSError as error:
        raise OutputError(f"{run.folder / _FACTS} cannot be written: {error.strerror}. Free the disk.") from error
    return changed


def _write_facts(folder: Path, facts: RunFacts) -> None:
    write_text(folder / _FACTS, json.dumps(asdict(facts), indent=2) + "\n")


def is_run(folder: Path) -> bool:
    """Returns whether a run was started there."""
    return (folder / _FACTS).is_file()


def open_run(folder: Path) -> Run:
    """Returns a run that was started before.

    Raises:
        TrainingError: There is none, it is damaged, or another version wrote it.
    """
    try:
        data = read_json(folder / _FACTS)
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != _SCHEMA:
            raise TrainingError(f"This cspine reads runs of schema {_SCHEMA}. {folder} has schema {schema!r:.20}; train it again.")
        return Run(folder, decode(RunFacts, {"batch_search": None} | data, _FACTS))  # runs had none before
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"A run is a folder that `cspine train` wrote, with a {_FACTS}. Received: {folder} ({one_line(str(error))})"
        ) from error


def check_folds(run: Run, chosen: Sequence[int]) -> None:
    """Makes sure that a run has some folds.

    Raises:
        UsageError: One does not exist.
    """
    wrong = sorted(set(chosen) - set(run.fold_numbers))
    if wrong:
        raise UsageError(f"The folds of this run are 0..{max(run.fold_numbers)}. Received: {wrong[0]}")


def _codes_of(data: Dataset) -> dict[str, list[str]]:
    """Returns the codes of all problems by study, for :func:`cspine.datasets.without`."""
    codes: dict[str, list[str]] = {}
    for problem in data.problems:
        if problem.study_uid is not None:
            codes.setdefault(problem.study_uid, []).append(problem.code)
    return codes


def checked_cases(data: Path, skip_broken: bool, cache: Path, reporter: Reporter) -> Dataset:
    """Returns the data set; with ``skip_broken`` every pixel is read, every problem reported, and only what is sound is kept.

    What was checked before is known from ``cache``.

    Raises:
        DatasetError: It cannot be read, or, without ``skip_broken``, anything is wrong with its tables and folders.
        OutputError: The cache cannot be written.
    """
    if not skip_broken:
        return read_dataset(data)
    found = _verified(read_dataset(data, skip_broken=True), cache, reporter, skip_broken=True)
    for problem in found.problems:
        reporter.warn(f"{problem.code}: {problem.text}")
    return found


def checked_masks(data: Path, skip_broken: bool, cache: Path, reporter: Reporter) -> Dataset:
    """Returns the data set as :func:`checked_cases`; studies with masks are read in any case.

    Raises:
        DatasetError: As :func:`checked_cases`, a mask does not fit its study, or there is none.
        OutputError: The cache cannot be written.
    """
    found = checked_cases(data, skip_broken, cache, reporter)
    if not skip_broken:
        masked = tuple(case for case in found.cases if case.mask is not None)
        _verified(replace(found, cases=masked), cache, reporter, skip_broken=False)
    if not any(case.mask for case in found.cases):
        raise DatasetError(
            f"A localiser is trained on masks in segmentations/. {data} has none that can be used; give another data set, or none."
        )
    return found


def _verified(data: Dataset, cache: Path, reporter: Reporter, *, skip_broken: bool) -> Dataset:
    kept = Cache(cache)

    def checks(cases: Iterable[Case]) -> Iterator[tuple[Problem, ...]]:
        for number, case in enumerate(cases, 1):
            reporter.say(f"checking study {number} of {len(data.cases)}")
            yield check_once(case, kept)

    return verified(data, skip_broken=skip_broken, checks=checks)


def cases_as_started(run: Run, data: Path) -> tuple[Case, ...] | None:
    """Returns the cases that the run was started with, if ``data`` is their folder.

    Raises:
        DatasetError: It cannot be read, or something is wrong that the run does not know of.
    """
    broken = run.facts.broken
    cases = without(read_dataset(data, skip_broken=broken is not None), broken or {}).cases
    return cases if data_digest(cases) == run.facts.digest else None


def same_cases(run: Run, data: Path) -> tuple[Case, ...]:
    """Returns the cases of the data set that the run was started with; the process that has just read them reads none again.

    Raises:
        TrainingError: ``data`` holds other studies or other labels.
        DatasetError: As :func:`cases_as_started`.
    """
    if run.dataset is not None and run.dataset.root == data:
        return run.dataset.cases
    cases = cases_as_started(run, data)
    if cases is None:
        raise TrainingError(
            f"{run.folder} was started on {run.facts.studies} studies of {run.facts.data}. "
            f"{data} holds others, or other labels; give the same data set or start a new run."
        )
    return cases
