"""Tests what the average of several folds is calibrated on, and what its card says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.training.core.ensemble import PackagedFolds, calibration_scores
from cspine.training.core.runs import BEST, CALIBRATION, HELD_OUT, Run, RunFacts
from tests.cli.conftest import made_up_scores

SCORES = made_up_scores()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Returns a run of two folds that held out twenty studies each."""
    folds = {uid: number % 2 for number, uid in enumerate(SCORES.study_uids)}
    for fold in (0, 1):
        home = tmp_path / f"fold-{fold}"
        home.mkdir()
        (home / BEST).touch()
        (home / HELD_OUT).write_text(part(fold).to_csv())
    return Run(tmp_path, RunFacts("custom_cnn", {}, "data", 40, "abc", folds, "keras"))


def part(fold: int) -> StudyScores:
    chosen = slice(fold, None, 2)
    return replace(SCORES, study_uids=SCORES.study_uids[chosen], truth=SCORES.truth[chosen], scores=SCORES.scores[chosen])


def test_an_average_is_calibrated_on_each_study_by_the_network_that_held_it_out(run: Run) -> None:
    found = calibration_scores(run, (0, 1))

    assert found.study_uids == (*part(0).study_uids, *part(1).study_uids)
    np.testing.assert_allclose(found.scores, np.concatenate([part(0).scores, part(1).scores]), atol=1e-6)


def test_of_studies_that_had_no_part_in_the_run_the_scores_are_averaged(run: Run) -> None:
    for fold, factor in ((0, 1.0), (1, 0.5)):
        (run.fold(fold) / CALIBRATION).write_text(replace(SCORES, scores=SCORES.scores * factor).to_csv())

    np.testing.assert_allclose(calibration_scores(run, (0, 1)).scores, SCORES.scores * 0.75, atol=1e-6)


def test_folds_that_were_calibrated_on_different_studies_are_not_averaged(run: Run) -> None:
    (run.fold(0) / CALIBRATION).write_text(SCORES.to_csv())

    with pytest.raises(TrainingError, match="must be calibrated on the same studies, or all on those that they held out"):
        calibration_scores(run, (0, 1))


def test_the_card_states_what_an_average_costs_and_whom_it_is_calibrated_on(run: Run) -> None:
    one, both = (" ".join(PackagedFolds.of(run, folds).lines(40, "were held out")) for folds in ((0,), (0, 1)))

    assert "costs" not in one
    assert "average of 2 networks" in both
    assert "costs 2 times the calculation of one network" in both
    assert "40 studies, each by the network that has not seen it (out of fold)" in both
