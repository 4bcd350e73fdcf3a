"""Judging a run: on the patients that its networks have not seen."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.datasets import Case
from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import choose_points, cross_calibrated, fit_calibration
from cspine.networks.loading import load_network
from cspine.training.calibration import calibrated_on, calibration_scores, held_out_scores, refuse_seen
from cspine.training.fitting import BEST, Reporter
from cspine.training.prediction import all_slice_outputs, study_scores
from cspine.training.recipe import Recipe
from cspine.training.runs import Run, data_digest
from cspine.training.stacks import prepare
from cspine.training.usable import own_cases, usable


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a run says about patients it has not seen.

    Attributes:
        probabilities: Calibrated, with the truth.
        thresholds: Of the balanced operating point.
        how: Which patients, in words.
        cases: The patients, in the order of the probabilities.
    """

    probabilities: StudyScores
    thresholds: tuple[float, ...]
    how: str
    cases: tuple[Case, ...]


def judge(run: Run, recipe: Recipe, data: Path, cache: Path, reporter: Reporter, *, skip_broken: bool = False) -> Judged:
    """Judges a run on its own data set, out of fold, or on another that shares no study with it.

    Raises:
        TrainingError: No fold is trained, or some but not all studies had a part in the run.
        DatasetError: The data set cannot be read, or something in it is broken and not to be skipped.
    """
    trained = run.trained_folds()
    if not trained:
        raise TrainingError(
            f"A run can be judged when a fold is trained to its end. {run.folder} has none; run `cspine train --resume`."
        )
    knows_what_is_broken = run.facts.broken is not None or not skip_broken
    own = own_cases(run, data) if knows_what_is_broken else None
    if own is not None:
        return _out_of_fold(run, own, trained)
    cases = usable(data, skip_broken, reporter).cases
    if data_digest(cases) == run.facts.digest:
        return _out_of_fold(run, cases, trained)
    refuse_seen(cases, set(run.facts.folds) | calibrated_on(run), data)
    return _unseen(run, recipe, cases, cache, reporter)


def _out_of_fold(run: Run, cases: tuple[Case, ...], trained: tuple[int, ...]) -> Judged:
    parts = [held_out_scores(run, fold) for fold in trained]
    probabilities = StudyScores.joined([cross_calibrated(part) for part in parts])
    points = choose_points(probabilities.truth, probabilities.scores)
    by_uid = {case.study_uid: case for case in cases}
    judged = tuple(by_uid[uid] for uid in probabilities.study_uids)
    return Judged(probabilities, points[0].thresholds, f"out of fold, fold {', '.join(map(str, trained))}", judged)


def _unseen(run: Run, recipe: Recipe, cases: tuple[Case, ...], cache: Path, reporter: Reporter) -> Judged:
    """The network of the first trained fold, with the calibration and thresholds that `export` would give it."""
    fold = run.trained_folds()[0]
    fitted = calibration_scores(run, fold)
    calibration = fit_calibration(fitted)
    points = choose_points(fitted.truth, calibration.apply(fitted.scores))
    model = load_network(run.fold(fold) / BEST)
    stacks = prepare(cases, recipe.input, cache, reporter.say)
    scores = study_scores(stacks, all_slice_outputs(model, stacks, recipe.input, reporter.say))
    probabilities = replace(scores, scores=np.asarray(calibration.apply(scores.scores)))
    return Judged(probabilities, points[0].thresholds, f"unseen studies, network of fold {fold}", cases)
