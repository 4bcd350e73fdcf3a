from dataclasses import replace

import numpy as np
import pytest

from cspine.errors import TrainingError
from cspine.evaluation import StudyScores
from cspine.evaluation.calibrating import (
    apply_overall,
    choose_points,
    cross_calibrated,
    cross_fitted_overall,
    fit_calibration,
    fit_overall,
    parted,
)
from cspine.evaluation.metrics import expected_calibration_error


def overconfident(studies: int = 600, seed: int = 0, mean: float = -1.0) -> StudyScores:
    """Returns logits three times as large as they should be, and shifted."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(mean, 1.5, (studies, 8))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return StudyScores(tuple(f"1.{i}" for i in range(studies)), truth, 1 / (1 + np.exp(-(3 * logits + 2))))


def necks(studies: int = 600, seed: int = 0, mean: float = -1.0) -> StudyScores:
    """Returns the same studies, with a fracture overall where a level has one."""
    given = overconfident(studies, seed, mean)
    truth = given.truth.copy()
    truth[:, 0] = truth[:, 1:].any(axis=1)
    return replace(given, truth=truth)


def with_fractured(studies: int, fractured: int, signal: float = 1.0, seed: int = 0) -> StudyScores:
    """Returns studies of which the first ``fractured`` have one fracture; scores are noise, and as much higher there."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((studies, 8), dtype=bool)
    truth[:fractured, 0] = True
    truth[np.arange(fractured), 1 + np.arange(fractured) % 7] = True
    scores = 1 / (1 + np.exp(-(signal * truth + rng.normal(size=truth.shape))))
    return StudyScores(tuple(f"1.{i}" for i in range(studies)), truth, scores)


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


@pytest.mark.parametrize("fractured", [0, 9, 31, 40])
def test_calibration_needs_ten_patients_of_either_kind(fractured: int) -> None:
    given = with_fractured(40, fractured)

    with pytest.raises(TrainingError, match=rf"needs 10 studies .* Received {fractured} and {40 - fractured}\. Run `cspine calib"):
        fit_calibration(given)
    with pytest.raises(TrainingError, match=rf"needs 10 studies .* Received {fractured} and {40 - fractured}\. Run `cspine calib"):
        cross_calibrated(given)
    assert fit_calibration(with_fractured(20, 10)).slopes[0] > 0
    assert len(cross_calibrated(with_fractured(20, 10))) == 20


@pytest.mark.parametrize("fractured", [0, 18, 22, 40])
def test_thresholds_need_nineteen_patients_of_either_kind(fractured: int) -> None:
    few, enough = with_fractured(40, fractured), with_fractured(38, 19)

    with pytest.raises(TrainingError, match=rf"Thresholds need 19 studies .* Received {fractured} and {40 - fractured}\."):
        choose_points(few.truth, few.scores)
    assert [point.name for point in choose_points(enough.truth, enough.scores)] == ["balanced", "rule_out", "rule_in"]


def test_of_several_thresholds_that_are_as_good_balanced_takes_the_highest() -> None:
    # from 0.3 on one intact patient is flagged, from 0.75 on one fractured patient is not
    fractured, intact = [0.4, *[0.9] * 19], [*[0.1] * 18, 0.6, 0.2]
    scores = np.repeat(np.array([*fractured, *intact])[:, None], 8, axis=1)
    truth = np.repeat(np.arange(40)[:, None] < 20, 8, axis=1)

    balanced = choose_points(truth, scores)[0]

    assert balanced.name == "balanced"
    assert balanced.thresholds[1] == pytest.approx(0.75)


@pytest.mark.parametrize(("studies", "wrong"), [(19, 0), (38, 0), (39, 1), (58, 1), (59, 2)])
def test_so_many_studies_may_be_on_the_wrong_side_that_one_in_twenty_new_ones_is(studies: int, wrong: int) -> None:
    given = with_fractured(2 * studies, studies, signal=0.0)

    points = {point.name: point.thresholds[1] for point in choose_points(given.truth, given.scores)}

    fractured, highest = given.truth[:, 0], given.scores[:, 1:].max(axis=1)
    assert np.count_nonzero(highest[fractured] < points["rule_out"]) <= wrong
    assert np.count_nonzero(highest[~fractured] >= points["rule_in"]) <= wrong
    low, high = np.sort(highest[fractured])[wrong], np.sort(highest[~fractured])[-1 - wrong]
    assert points["rule_out"] == points["balanced"] or not ((highest > points["rule_out"]) & (highest < low)).any()
    assert points["rule_in"] == points["balanced"] or not ((highest < points["rule_in"]) & (highest > high)).any()


def test_where_all_score_alike_ruling_in_flags_nobody() -> None:
    given = with_fractured(60, 30)
    alike = np.full_like(given.scores, 0.3)

    points = {point.name: point.thresholds for point in choose_points(given.truth, alike)}

    assert points["rule_out"][1] <= 0.3 < points["rule_in"][1]


def test_nobody_is_scored_by_a_calibration_that_saw_him() -> None:
    """Whoever's label or score changes, his own probability stays what it was: his part was calibrated on the others."""
    given = necks(60, mean=-4.0)
    before = cross_calibrated(given)
    fractured = given.truth[:, 0]

    for patient in (int(np.flatnonzero(fractured)[0]), int(np.flatnonzero(~fractured)[0])):
        levels = given.truth.copy()
        levels[patient, 1:] = ~levels[patient, 1:]  # what he has overall stays, so the parts do
        after = cross_calibrated(replace(given, truth=levels))
        np.testing.assert_array_equal(after.scores[patient], before.scores[patient])
        assert not np.array_equal(after.scores, before.scores)


def test_every_patient_is_set_aside_once_with_his_share_of_fractures() -> None:
    given = with_fractured(50, 20)

    pairs = parted(given, 5, 0)

    assert sorted(np.concatenate([part for _, part in pairs])) == list(range(50))
    for rest, part in pairs:
        assert set(rest) | set(part) == set(range(50))
        assert not set(rest) & set(part)
        assert (len(part), given.truth[part, 0].sum()) == (10, 4)


def test_the_head_for_any_fracture_has_not_seen_whom_it_scores() -> None:
    given = necks(60, mean=-4.0)
    moved = given.scores.copy()
    patient = 7
    moved[patient, 1:] = 1 - moved[patient, 1:]
    (rest, part) = next((rest, part) for rest, part in parted(given, 5, 0) if patient in part)

    before, after = cross_fitted_overall(given), cross_fitted_overall(replace(given, scores=moved))

    own = apply_overall(fit_overall(given.some(rest)), given.scores[part])
    np.testing.assert_array_equal(before[part], own)
    others = np.setdiff1d(part, [patient])
    np.testing.assert_array_equal(after[others], before[others])
    assert not np.array_equal(after[rest], before[rest])


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
    given = necks(300, mean=-3.0)

    for point in choose_points(given.truth, given.scores):
        flagged = (given.scores[:, 1:] >= point.thresholds[1]).any(axis=1)
        assert np.count_nonzero(given.scores[:, 0] >= point.thresholds[0]) == np.count_nonzero(flagged)
