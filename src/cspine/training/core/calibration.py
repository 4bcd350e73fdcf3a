"""Which scores a run's probabilities and thresholds come from: those of its held-out patients, or of others who are as in life."""

from collections.abc import Collection, Sequence
from pathlib import Path

from cspine.datasets import Case
from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.files import write_text
from cspine.training.core.data import usable
from cspine.training.core.family import Examiner
from cspine.training.core.runs import Run
from cspine.training.slices.fitting import BEST, HELD_OUT, Reporter

CALIBRATION = "calibration.csv"
"""Scores of patients that had no part in the run, where it was calibrated on such."""


def held_out_scores(run: Run, fold: int) -> StudyScores:
    """Scores of the patients that a network has not seen.

    Raises:
        TrainingError: Its training has not ended.
    """
    if fold not in run.trained_folds():
        done = ", ".join(str(n) for n in run.trained_folds()) or "none"
        raise TrainingError(
            f"Fold {fold} of {run.folder} must be trained to its end. Trained: {done}. Run `cspine train --resume`."
        )
    return StudyScores.from_csv(run.fold(fold) / HELD_OUT)


def calibration_scores(run: Run, fold: int) -> StudyScores:
    """Scores that calibration and thresholds are fitted to: of the data set of :func:`calibrate`, or of the held-out patients.

    Raises:
        TrainingError: The network's training has not ended.
    """
    held_out = held_out_scores(run, fold)
    path = run.fold(fold) / CALIBRATION
    return StudyScores.from_csv(path) if path.is_file() else held_out


def calibrate(run: Run, examiner: Examiner, data: Path, cache: Path, reporter: Reporter, *, skip_broken: bool = False) -> int:
    """Scores a data set with every trained network of a run, for its calibration.

    A run may have learnt from studies that are not as in life, for instance with more fractures. Probabilities are right only for
    patients like those they are fitted to.

    Returns:
        The number of studies.

    Raises:
        TrainingError: No fold is trained, or a study had a part in the run.
        DatasetError: The data set cannot be read.
    """
    trained = run.trained_folds()
    if not trained:
        raise TrainingError(f"A run can be calibrated when a fold is trained to its end. {run.folder} has none; train it first.")
    cases = usable(data, skip_broken, reporter).cases
    refuse_seen(cases, run.facts.folds, data)
    for fold in trained:
        examined = examiner.examine(run.fold(fold) / BEST, cases, cache, reporter, places=False)
        write_text(run.fold(fold) / CALIBRATION, examined.scores.to_csv())
    return len(cases)


def calibrated_on(run: Run) -> set[str]:
    """The studies that calibration and thresholds of a run come from."""
    return {uid for fold in run.trained_folds() for uid in calibration_scores(run, fold).study_uids}


def refuse_seen(cases: Sequence[Case], seen: Collection[str], data: Path) -> None:
    """Studies that a run has learnt from, chosen by or been calibrated on say nothing about others.

    Raises:
        TrainingError: There are such.
    """
    shared = sorted({case.study_uid for case in cases} & set(seen))
    if shared:
        raise TrainingError(
            "The data must be those of the run, or share no study with them nor with those it was calibrated on. "
            f"{data} shares {len(shared)} of {len(cases)}, for instance {shared[0]}; take them out."
        )
