"""The cases of a data set that a run may use, with everything told that is left out."""

from dataclasses import replace
from pathlib import Path

from cspine.datasets import Case, Dataset, read_dataset, verified, without
from cspine.errors import DatasetError, TrainingError
from cspine.training.core.runs import Run, data_digest
from cspine.training.slices.fitting import Reporter


def usable(data: Path, skip_broken: bool, reporter: Reporter) -> Dataset:
    """The data set; with ``skip_broken`` every pixel is looked at, every problem told, and only what is sound is kept.

    Raises:
        DatasetError: It cannot be read, or, without ``skip_broken``, anything is wrong with its tables and folders.
    """
    if not skip_broken:
        return read_dataset(data)
    reporter.say("checking every study")
    found = verified(read_dataset(data, skip_broken=True), skip_broken=True)
    for problem in found.problems:
        reporter.warn(f"{problem.code}: {problem.text}")
    return found


def usable_masks(data: Path, skip_broken: bool, reporter: Reporter) -> Dataset:
    """As :func:`usable`; studies with masks are looked at inside in any case.

    Raises:
        DatasetError: As :func:`usable`, a mask does not fit its study, or there is none.
    """
    found = usable(data, skip_broken, reporter)
    if not skip_broken:
        reporter.say("checking every mask")
        verified(replace(found, cases=tuple(case for case in found.cases if case.mask is not None)))
    if not any(case.mask for case in found.cases):
        raise DatasetError(
            f"A localiser learns from masks in segmentations/. {data} has none that can be used; give another data set, or none."
        )
    return found


def codes_of(data: Dataset) -> dict[str, list[str]]:
    """Codes of all problems by study, for :func:`cspine.datasets.without`."""
    codes: dict[str, list[str]] = {}
    for problem in data.problems:
        if problem.study_uid is not None:
            codes.setdefault(problem.study_uid, []).append(problem.code)
    return codes


def own_cases(run: Run, data: Path) -> tuple[Case, ...] | None:
    """The cases that the run was started with, if ``data`` is their folder.

    Raises:
        DatasetError: It cannot be read, or something is wrong that the run does not know of.
    """
    broken = run.facts.broken
    cases = without(read_dataset(data, skip_broken=broken is not None), broken or {}).cases
    return cases if data_digest(cases) == run.facts.digest else None


def same_cases(run: Run, data: Path) -> tuple[Case, ...]:
    """The cases of the data set that the run was started with.

    Raises:
        TrainingError: ``data`` holds other studies or other labels.
        DatasetError: As :func:`own_cases`.
    """
    cases = own_cases(run, data)
    if cases is None:
        raise TrainingError(
            f"{run.folder} was started on {run.facts.studies} studies of {run.facts.data}. "
            f"{data} holds others, or other labels; give the same data set or start a new run."
        )
    return cases
