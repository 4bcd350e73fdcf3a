"""Evaluation and calibration of a run: on patients that its networks have not seen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case
from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import (
    LEAST_AT_POINTS,
    apply_overall,
    choose_points,
    cross_calibrated,
    cross_fitted_overall,
    fit_calibration,
    fit_overall,
    refuse_too_few,
)
from cspine.evaluation.leaky import LeakyAccuracy
from cspine.evaluation.localisation import StudyLocalisation
from cspine.modelpack import OperatingPoint
from cspine.storage.files import write_text
from cspine.training.core.family import Classifying
from cspine.training.core.log import Reporter
from cspine.training.core.runs import CALIBRATION, Run, cases_as_started, checked_cases, data_digest

_ON_OTHERS = "chosen on the patients that calibrated"


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """Says how to evaluate.

    Attributes:
        cache: Where prepared studies are kept.
        skip_broken: Whether to go on without what is wrong with the data set.
        localise: Whether to return where the network suspects fractures; of held-out patients the scores are known without.
    """

    cache: Path
    skip_broken: bool = False
    localise: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class RunEvaluation:
    """Holds what a run predicts for patients that it was not trained on.

    Attributes:
        probabilities: Calibrated, with the truth.
        fitted_overall: Probability of any fracture from a head fitted to the levels, ``(n,)``.
        points: Thresholds.
        thresholds: Which patients these were chosen on, in words.
        how: Which patients, in words.
        cases: The patients, in the order of the probabilities.
        localisations: Where fractures are suspected and are, in the same order; empty where that was not requested.
        leaky: What a protocol that is known to be wrong reports, where the recipe was made for it.
    """

    probabilities: StudyScores
    fitted_overall: NDArray[np.float64]
    points: tuple[OperatingPoint, ...]
    thresholds: str
    how: str
    cases: tuple[Case, ...]
    localisations: tuple[StudyLocalisation, ...] = ()
    leaky: LeakyAccuracy | None = None


def evaluate_run(run: Run, family: Classifying[Any], data: Path, options: EvaluationOptions, reporter: Reporter) -> RunEvaluation:
    """Evaluates a run on its own data set, out of fold, or on another that shares no study with it.

    Args:
        run: The run.
        family: Predicts with its networks.
        data: The data set.
        options: How.
        reporter: Receives the progress.

    Raises:
        TrainingError: No fold is trained, or some but not all studies had a part in the run.
        DatasetError: The data set cannot be read, or something in it is broken and not to be skipped.
    """
    _trained(run)
    knows_what_is_broken = run.facts.broken is not None or not options.skip_broken
    own = cases_as_started(run, data) if knows_what_is_broken else None
    if own is None:
        cases = checked_cases(data, options.skip_broken, options.cache, reporter).cases
        if data_digest(cases) != run.facts.digest:
            refuse_seen(cases, set(run.facts.folds) | calibrated_on(run), data)
            return _unseen(run, family, cases, options, reporter)
        own = cases
    found = _out_of_fold(run, own)
    localisations = _localised_out_of_fold(run, family, found.cases, options, reporter) if options.localise else ()
    fold = run.trained_folds()[0]
    training_set = [case for case in own if run.facts.folds[case.study_uid] != fold]
    leaky = family.leaky_accuracy(run.network(fold), training_set, options.cache, reporter)
    return replace(found, localisations=localisations, leaky=leaky)


def out_of_fold_probabilities(run: Run) -> StudyScores:
    """Returns each patient of the trained folds by the network that held him out, with a calibration that has not seen him either.

    Raises:
        TrainingError: No fold is trained, or there are too few patients to calibrate it.
    """
    return StudyScores.joined([_calibrated_part(run, fold).probabilities for fold in _trained(run)])


def calibrate(run: Run, family: Classifying[Any], data: Path, cache: Path, reporter: Reporter, *, skip_broken: bool = False) -> int:
    """Returns the scores of a data set from every trained network of a run, for its calibration.

    A run may have been trained on studies that are unlike life, for instance with more fractures. Probabilities are right only for
    patients like those they are fitted to.

    Returns:
        The number of studies.

    Raises:
        TrainingError: No fold is trained, a study had a part in the run, or there are too few for calibration and thresholds.
        DatasetError: The data set cannot be read.
    """
    trained = _trained(run, "calibrated")
    cases = checked_cases(data, skip_broken, cache, reporter).cases
    refuse_seen(cases, run.facts.folds, data)
    refuse_too_few(np.array([any(case.fractured or ()) for case in cases], dtype=bool), "Thresholds need", LEAST_AT_POINTS)
    for fold in trained:
        predicted = family.predict(run.network(fold), cases, cache, reporter, localise=False)
        write_text(run.fold(fold) / CALIBRATION, predicted.scores.to_csv())
    return len(cases)


def calibrated_on(run: Run) -> set[str]:
    """Returns the studies that calibration and thresholds of a run come from."""
    return {uid for fold in run.trained_folds() for uid in run.calibration_scores(fold).study_uids}


def refuse_seen(cases: Sequence[Case], seen: Collection[str], data: Path) -> None:
    """Refuses studies that a run was trained on, chosen by or been calibrated on: they say nothing about others.

    Raises:
        TrainingError: There are such.
    """
    shared = sorted({case.study_uid for case in cases} & set(seen))
    if shared:
        raise TrainingError(
            "The data must be those of the run, or share no study with them nor with those it was calibrated on. "
            f"{data} shares {len(shared)} of {len(cases)}, for instance {shared[0]}; take them out."
        )


def _trained(run: Run, act: str = "evaluated") -> tuple[int, ...]:
    trained = run.trained_folds()
    if not trained:
        raise TrainingError(
            f"A run can be {act} once a fold has finished training. {run.folder} has none; run `cspine train --resume`."
        )
    return trained


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The patients of a fold, by a calibration and a head that have not seen them.

    Attributes:
        probabilities: Calibrated.
        fitted_overall: Of any fracture, from the head, ``(n,)``.
        chosen_on: Calibrated probabilities of the patients that thresholds are chosen on.
    """

    probabilities: StudyScores
    fitted_overall: NDArray[np.float64]
    chosen_on: StudyScores


def _calibrated_part(run: Run, fold: int) -> _Part:
    """Returns the held-out patients of a fold, calibrated on those that the run was calibrated on, else on one another.

    Raises:
        TrainingError: There are too few patients for that.
    """
    held_out = run.held_out_scores(fold)
    if not run.is_calibrated(fold):
        probabilities = cross_calibrated(held_out)
        return _Part(probabilities, cross_fitted_overall(probabilities), probabilities)
    fitted = run.calibration_scores(fold)
    calibration = fit_calibration(fitted)
    known = replace(fitted, scores=calibration.apply(fitted.scores))
    probabilities = replace(held_out, scores=calibration.apply(held_out.scores))
    return _Part(probabilities, apply_overall(fit_overall(known), probabilities.scores), known)


def _out_of_fold(run: Run, cases: Sequence[Case]) -> RunEvaluation:
    trained = _trained(run)
    parts = [_calibrated_part(run, fold) for fold in trained]
    probabilities = StudyScores.joined([part.probabilities for part in parts])
    apart = all(run.is_calibrated(fold) for fold in trained)
    chosen_on = parts[0].chosen_on if apart else StudyScores.joined([part.chosen_on for part in parts])
    by_uid = {case.study_uid: case for case in cases}
    return RunEvaluation(
        probabilities,
        np.concatenate([part.fitted_overall for part in parts]),
        choose_points(chosen_on.truth, chosen_on.scores),
        _ON_OTHERS if apart else "chosen on these very patients, which flatters them",
        f"out of fold, fold {', '.join(map(str, trained))}",
        tuple(by_uid[uid] for uid in probabilities.study_uids),
    )


def _unseen(
    run: Run, family: Classifying[Any], cases: tuple[Case, ...], options: EvaluationOptions, reporter: Reporter
) -> RunEvaluation:
    """Evaluates the network of the first trained fold, with the calibration and thresholds that `export` would give it."""
    fold = run.trained_folds()[0]
    fitted = run.calibration_scores(fold)
    calibration = fit_calibration(fitted)
    known = replace(fitted, scores=calibration.apply(fitted.scores))
    points = choose_points(known.truth, known.scores, calibration)
    predicted = family.predict(run.network(fold), cases, options.cache, reporter, localise=options.localise)
    probabilities = replace(predicted.scores, scores=calibration.apply(predicted.scores.scores))
    return RunEvaluation(
        probabilities,
        apply_overall(fit_overall(known), probabilities.scores),
        points,
        _ON_OTHERS,
        f"unseen studies, network of fold {fold}",
        cases,
        predicted.localisations,
    )


def _localised_out_of_fold(
    run: Run, family: Classifying[Any], cases: Sequence[Case], options: EvaluationOptions, reporter: Reporter
) -> tuple[StudyLocalisation, ...]:
    """Returns where each patient's own network suspects fractures, in the order of the cases."""
    found: dict[str, StudyLocalisation] = {}
    for fold in run.trained_folds():
        uids = set(run.held_out_scores(fold).study_uids)
        held_out = [case for case in cases if case.study_uid in uids]
        predicted = family.predict(run.network(fold), held_out, options.cache, reporter, localise=True)
        found |= dict(zip(predicted.scores.study_uids, predicted.localisations, strict=True))
    return tuple(found[case.study_uid] for case in cases)
