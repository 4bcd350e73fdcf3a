from dataclasses import replace

import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import choose_points, cross_calibrated, fit_calibration
from cspine.evaluation.metrics import expected_calibration_error
from cspine.modelpack import Calibration, OwnOverall


def overconfident(studies: int = 600, seed: int = 0) -> StudyScores:
    """Logits three times as large as they should be, and shifted."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1.5, (studies, 8))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return StudyScores(tuple(f"1.{i}" for i in range(studies)), truth, 1 / (1 + np.exp(-(3 * logits + 2))))


def necks(studies: int = 600, seed: int = 0) -> StudyScores:
    """The same, with a fracture overall where a level has one."""
    given = overconfident(studies, seed)
    truth = given.truth.copy()
    truth[:, 0] = truth[:, 1:].any(axis=1)
    return replace(given, truth=truth)


def test_calibration_finds_the_line_that_was_bent() -> None:
    fitted = fit_calibration(necks(4000))

    assert fitted.slopes[1:] == pytest.approx([1 / 3] * 7, abs=0.05)
    assert fitted.intercepts[1:] == pytest.approx([-2 / 3] * 7, abs=0.25)
    assert fitted.slopes[0] == pytest.approx(1, abs=0.2)
    assert fitted.intercepts[0] == pytest.approx(0, abs=0.4)


def test_the_score_of_any_fracture_is_the_network_s_own_where_it_has_one() -> None:
    given = necks(4000)
    logits = np.log(given.scores / (1 - given.scores))
    truth = given.truth.copy()
    truth[:, 0] = np.random.default_rng(0).random(len(truth)) < 1 / (1 + np.exp(-(logits[:, 0] - 2) / 3))
    given = replace(given, truth=truth)

    fitted = fit_calibration(given, OwnOverall)

    assert isinstance(fitted, OwnOverall)
    assert fitted.slopes[0] == pytest.approx(1 / 3, abs=0.05)
    assert fitted.intercepts[0] == pytest.approx(-2 / 3, abs=0.2)
    own, made = (cross_calibrated(given, kind).scores for kind in (OwnOverall, Calibration))
    assert expected_calibration_error(truth[:, 0], own[:, 0]) < 0.05
    assert not np.allclose(own[:, 0], made[:, 0], atol=0.1)


def test_calibrated_scores_of_other_patients_are_probabilities() -> None:
    calibration, fresh = fit_calibration(necks(seed=1)), necks(seed=2)

    assert expected_calibration_error(fresh.truth[:, 0], calibration.apply(fresh.scores)[:, 0]) < 0.1
    for i in range(1, 8):
        error = expected_calibration_error(fresh.truth[:, i], calibration.apply(fresh.scores)[:, i])
        assert error < 0.5 * expected_calibration_error(fresh.truth[:, i], fresh.scores[:, i])


def test_scores_that_say_the_reverse_keep_their_order() -> None:
    given = overconfident()

    fitted = fit_calibration(replace(given, scores=1 - given.scores))

    assert fitted.slopes[0] > 0
    assert all(0 < slope < 0.1 for slope in fitted.slopes[1:])


def test_calibration_needs_patients_of_both_kinds() -> None:
    given = overconfident(20)

    with pytest.raises(TrainingError, match=r"with and without fractures. Received 0 of 20"):
        fit_calibration(replace(given, truth=np.zeros_like(given.truth)))


def test_nobody_is_scored_by_a_calibration_that_saw_him() -> None:
    given = overconfident(60)
    flipped = given.truth.copy()
    flipped[0] = ~flipped[0]

    before, after = cross_calibrated(given), cross_calibrated(replace(given, truth=flipped))

    assert before.study_uids == given.study_uids
    assert not np.array_equal(before.scores, after.scores)
    alone = replace(given, truth=np.vstack([given.truth[:1], given.truth[1:]]))
    np.testing.assert_array_equal(cross_calibrated(alone).scores, before.scores)


def test_operating_points_do_on_held_out_patients_what_their_names_say() -> None:
    given = overconfident(800)
    points = {point.name: point.thresholds for point in choose_points(given.truth, given.scores)}
    truth, p = given.truth[:, 0], given.scores[:, 0]

    assert np.mean(p[truth] >= points["rule_out"][0]) >= 0.95
    assert np.mean(p[~truth] < points["rule_in"][0]) >= 0.95
    assert points["rule_out"][0] < points["balanced"][0] < points["rule_in"][0]
    assert len({*points["balanced"][1:]}) == 1


def test_a_level_that_is_broken_more_often_has_a_higher_threshold_at_the_same_score() -> None:
    rng = np.random.default_rng(3)
    share = np.array([0.05, 0.4, 0.05, 0.05, 0.05, 0.05, 0.05])
    levels = rng.random((3000, 7)) < share
    evidence = 2.0 * levels + rng.normal(size=levels.shape) - 1.0
    scores = 1 / (1 + np.exp(-evidence))
    truth = np.column_stack([levels.any(axis=1), levels])
    given = StudyScores(tuple(map(str, range(3000))), truth, np.column_stack([scores.max(axis=1), scores]))
    calibration = fit_calibration(given)
    probabilities = calibration.apply(given.scores)

    alike = choose_points(given.truth, probabilities)[0].thresholds
    own = choose_points(given.truth, probabilities, calibration)[0].thresholds

    assert len(set(alike[1:])) == 1
    assert own[2] > 2 * own[1]
    at_threshold = [np.mean(probabilities[~truth[:, i], i] < own[i]) for i in range(1, 8)]
    assert max(at_threshold) - min(at_threshold) < 0.06  # the same score, so the same share of whole levels below it
