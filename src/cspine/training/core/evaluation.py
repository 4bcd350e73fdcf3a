"""Judging a run: on the patients that its networks have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case
from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import (
    apply_overall,
    choose_points,
    cross_calibrated,
    cross_fitted_overall,
    fit_calibration,
    fit_overall,
)
from cspine.evaluation.leaky import LeakyAccuracy
from cspine.evaluation.localisation import StudyLocalisation
from cspine.modelpack import Calibration, OperatingPoint
from cspine.networks.loading import load_network
from cspine.training.core.calibration import calibrated_on, calibration_scores, held_out_scores, refuse_seen
from cspine.training.core.data import own_cases, usable
from cspine.training.core.family import Examiner, SliceExaminer
from cspine.training.core.runs import Run, data_digest
from cspine.training.slices.fitting import BEST, Reporter
from cspine.training.slices.leaky import leaky_accuracy
from cspine.training.slices.stacks import prepare


@dataclass(frozen=True, slots=True)
class Judging:
    """How to judge.

    Attributes:
        cache: Where prepared studies are kept.
        skip_broken: Whether to go on without what is wrong with the data set.
        places: Whether to look where the network suspects fractures; of held-out patients the scores are known without.
    """

    cache: Path
    skip_broken: bool = False
    places: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a run says about patients it has not seen.

    Attributes:
        probabilities: Calibrated, with the truth.
        fitted_overall: Probability of any fracture from a head fitted to the levels, ``(n,)``.
        points: Thresholds.
        thresholds: Whom these were chosen on, in words.
        how: Which patients, in words.
        cases: The patients, in the order of the probabilities.
        places: Where fractures are suspected and are, in the same order; empty where nobody asked.
        leaky: What a protocol that is known to be wrong reports, where the recipe was made for it.
    """

    probabilities: StudyScores
    fitted_overall: NDArray[np.float64]
    points: tuple[OperatingPoint, ...]
    thresholds: str
    how: str
    cases: tuple[Case, ...]
    places: tuple[StudyLocalisation, ...] = ()
    leaky: LeakyAccuracy | None = None


def judge(run: Run, examiner: Examiner, data: Path, judging: Judging, reporter: Reporter) -> Judged:
    """Judges a run on its own data set, out of fold, or on another that shares no study with it.

    Args:
        run: The run.
        examiner: Asks its networks.
        data: The data set.
        judging: How.
        reporter: Who wants to know.

    Raises:
        TrainingError: No fold is trained, or some but not all studies had a part in the run.
        DatasetError: The data set cannot be read, or something in it is broken and not to be skipped.
    """
    _trained(run)
    knows_what_is_broken = run.facts.broken is not None or not judging.skip_broken
    own = own_cases(run, data) if knows_what_is_broken else None
    if own is None:
        cases = usable(data, judging.skip_broken, reporter).cases
        if data_digest(cases) != run.facts.digest:
            refuse_seen(cases, set(run.facts.folds) | calibrated_on(run), data)
            return _unseen(run, examiner, cases, judging, reporter)
        own = cases
    judged = _out_of_fold(run, examiner, own)
    looked = _places_out_of_fold(run, examiner, judged.cases, judging, reporter) if judging.places else ()
    return replace(judged, places=looked, leaky=_leaky(run, examiner, own, judging, reporter))


def out_of_fold_probabilities(run: Run, kind: type[Calibration]) -> StudyScores:
    """Each patient of the trained folds by the network that held him out, with a calibration that has not seen him either.

    Raises:
        TrainingError: No fold is trained.
    """
    return StudyScores.joined(_parts(run, kind))


def _parts(run: Run, kind: type[Calibration]) -> list[StudyScores]:
    return [cross_calibrated(held_out_scores(run, fold), kind) for fold in _trained(run)]


def _trained(run: Run) -> tuple[int, ...]:
    trained = run.trained_folds()
    if not trained:
        raise TrainingError(
            f"A run can be judged when a fold is trained to its end. {run.folder} has none; run `cspine train --resume`."
        )
    return trained


def _out_of_fold(run: Run, examiner: Examiner, cases: Sequence[Case]) -> Judged:
    parts = _parts(run, examiner.calibration)
    probabilities = StudyScores.joined(parts)
    points = choose_points(probabilities.truth, probabilities.scores)
    fitted = np.concatenate([cross_fitted_overall(part) for part in parts])
    by_uid = {case.study_uid: case for case in cases}
    judged = tuple(by_uid[uid] for uid in probabilities.study_uids)
    how = f"out of fold, fold {', '.join(map(str, _trained(run)))}"
    return Judged(probabilities, fitted, points, "chosen on these very patients, which flatters them", how, judged)


def _unseen(run: Run, examiner: Examiner, cases: tuple[Case, ...], judging: Judging, reporter: Reporter) -> Judged:
    """The network of the first trained fold, with the calibration and thresholds that `export` would give it."""
    fold = run.trained_folds()[0]
    fitted = calibration_scores(run, fold)
    calibration = fit_calibration(fitted, examiner.calibration)
    known = replace(fitted, scores=calibration.apply(fitted.scores))
    examined = examiner.examine(run.fold(fold) / BEST, cases, judging.cache, reporter, places=judging.places)
    probabilities = replace(examined.scores, scores=np.asarray(calibration.apply(examined.scores.scores)))
    return Judged(
        probabilities,
        apply_overall(fit_overall(known), probabilities.scores),
        choose_points(known.truth, known.scores, calibration),
        "chosen on the patients that calibrated",
        f"unseen studies, network of fold {fold}",
        cases,
        examined.places,
    )


def _places_out_of_fold(
    run: Run, examiner: Examiner, cases: Sequence[Case], judging: Judging, reporter: Reporter
) -> tuple[StudyLocalisation, ...]:
    """Where each patient's own network suspects fractures, in the order of the cases."""
    found: dict[str, StudyLocalisation] = {}
    for fold in run.trained_folds():
        uids = set(held_out_scores(run, fold).study_uids)
        held_out = [case for case in cases if case.study_uid in uids]
        examined = examiner.examine(run.fold(fold) / BEST, held_out, judging.cache, reporter, places=True)
        found |= dict(zip(examined.scores.study_uids, examined.places, strict=True))
    return tuple(found[case.study_uid] for case in cases)


def _leaky(run: Run, examiner: Examiner, cases: Sequence[Case], judging: Judging, reporter: Reporter) -> LeakyAccuracy | None:
    """Of the first trained network, on slices of the patients that it has learnt from."""
    if not isinstance(examiner, SliceExaminer) or not examiner.recipe.split.slices_kept:
        return None
    recipe = examiner.recipe
    fold = run.trained_folds()[0]
    learnt_from = [case for case in cases if run.facts.folds[case.study_uid] != fold]
    stacks = prepare(learnt_from, recipe.input, judging.cache, reporter.say)
    return leaky_accuracy(load_network(run.fold(fold) / BEST), stacks, recipe, reporter)
