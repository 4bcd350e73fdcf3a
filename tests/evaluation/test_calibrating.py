from dataclasses import replace

import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import choose_points, cross_calibrated, fit_calibration
from cspine.evaluation.metrics import expected_calibration_error


def overconfident(studies: int = 600, seed: int = 0, mean: float = -1.0) -> StudyScores:
    """Logits three times as large as they should be, and shifted."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(mean, 1.5, (studies, 8))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return StudyScores(tuple(f"1.{i}" for i in range(studies)), truth, 1 / (1 + np.exp(-(3 * logits + 2))))


def necks(studies: int = 600, seed: int = 0, mean: float = -1.0) -> StudyScores:
    """The same, with a fracture overall where a level has one."""
    given = overconfident(studies, seed, mean)
    truth = given.truth.copy()
    truth[:, 0] = truth[:, 1:].any(axis=1)
    return replace(given, truth=truth)


def test_calibration_finds_the_line_that_was_bent() -> None:
    fitted = fit_calibration(necks(4000))

    assert fitted.slopes[1:] == pytest.approx([1 / 3] * 7, abs=0.05)
    assert fitted.intercepts[1:] == pytest.approx([-2 / 3] * 7, abs=0.25)


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
    given = necks(800, mean=-4.0)
    calibration = fit_calibration(given)
    p = calibration.apply(given.scores)
    points = {point.name: point.thresholds for point in choose_points(given.truth, p, calibration)}
    truth = given.truth[:, 0]

    assert np.mean(p[truth, 0] >= points["rule_out"][0]) >= 0.95
    assert np.mean(p[~truth, 0] < points["rule_in"][0]) >= 0.95
    assert points["rule_out"][0] < points["balanced"][0] < points["rule_in"][0]
    for overall, *levels in points.values():
        assert len(set(levels)) == 1
        np.testing.assert_array_equal(p[:, 0] >= overall, (p[:, 1:] >= levels[0]).any(axis=1))


def test_points_keep_their_order_where_everything_is_told_apart() -> None:
    truth = np.zeros((60, 8), dtype=bool)
    truth[:30, :2] = True
    probabilities = np.where(truth, 0.9, 0.1) + np.linspace(0, 0.05, 60)[:, None]

    out, balanced, ruling_in = (
        point.thresholds
        for name in ("rule_out", "balanced", "rule_in")
        for point in choose_points(truth, probabilities)
        if point.name == name
    )

    assert list(out) <= list(balanced) <= list(ruling_in)
    assert 0.15 < balanced[1] < 0.9


def test_new_studies_are_missed_no_more_often_than_ruling_out_allows() -> None:
    missed = []
    for seed in range(40):
        given, fresh = necks(200, seed, mean=-4.0), necks(400, 1000 + seed, mean=-4.0)
        calibration = fit_calibration(given)
        point = next(p for p in choose_points(given.truth, calibration.apply(given.scores), calibration) if p.name == "rule_out")
        fractured = fresh.truth[:, 0]
        missed.append(np.mean(calibration.apply(fresh.scores)[fractured, 0] < point.thresholds[0]))

    assert np.mean(missed) <= 0.05


def test_without_a_calibration_as_many_studies_are_flagged_as_have_a_flagged_level() -> None:
    given = necks(300)

    for point in choose_points(given.truth, given.scores):
        flagged = (given.scores[:, 1:] >= point.thresholds[1]).any(axis=1)
        assert np.count_nonzero(given.scores[:, 0] >= point.thresholds[0]) == np.count_nonzero(flagged)
