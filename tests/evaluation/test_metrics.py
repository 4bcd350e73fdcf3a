import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

from cspine.evaluation import StudyScores
from cspine.evaluation.competition import competition_loss
from cspine.evaluation.metrics import (
    auroc,
    average_precision,
    calibration_error_if_right,
    evaluate,
    expected_calibration_error,
    mean_level_auroc,
)
from cspine.modelpack import OperatingPoint

HALF = (OperatingPoint("half", (0.5,) * 8),)


def scores(studies: int = 80, seed: int = 0, signal: float = 2.0) -> StudyScores:
    rng = np.random.default_rng(seed)
    levels = rng.random((studies, 7)) < 0.2
    truth = np.column_stack([levels.any(axis=1), levels])
    p = 1 / (1 + np.exp(-(signal * (truth - 0.5) + rng.normal(size=truth.shape))))
    return StudyScores(tuple(f"1.{i}" for i in range(studies)), truth, p)


def test_every_metric_agrees_with_scikit_learn() -> None:
    given = scores()
    thresholds = tuple(np.linspace(0.3, 0.7, 8))
    points = (OperatingPoint("low", thresholds), OperatingPoint("high", tuple(t + 0.2 for t in thresholds)))

    found = evaluate(given, points, resamples=20)

    for i, output in enumerate(found.outputs):
        truth, p = given.truth[:, i], given.scores[:, i]
        values = {name: estimate.value for name, estimate in output.estimates.items()}
        assert values["auroc"] == pytest.approx(roc_auc_score(truth, p))
        assert values["average_precision"] == pytest.approx(average_precision_score(truth, p))
        for point in points:
            flagged = p >= point.thresholds[i]
            assert values[f"sensitivity_{point.name}"] == pytest.approx(recall_score(truth, flagged))
            assert values[f"specificity_{point.name}"] == pytest.approx(recall_score(~truth, ~flagged))
        assert output.fractured == truth.sum()
    assert found.mean_level_auroc.value == pytest.approx(np.mean([o.estimates["auroc"].value for o in found.outputs[1:]]))


def test_the_calibration_error_is_the_weighted_gap_of_the_reliability_curve() -> None:
    given = scores(500)
    truth, p = given.truth[:, 0], given.scores[:, 0]
    frequency, predicted = calibration_curve(truth, p, n_bins=10)
    counts = np.histogram(p, bins=10, range=(0, 1))[0]

    expected = np.sum(np.abs(frequency - predicted) * counts[counts > 0]) / len(p)

    assert expected_calibration_error(truth, p) == pytest.approx(expected)


@given(st.integers(0, 2**31))
def test_a_probability_that_is_the_frequency_has_no_calibration_error(seed: int) -> None:
    truth = np.random.default_rng(seed).random(40) < 0.5

    assert expected_calibration_error(truth, np.full(40, truth.mean())) == pytest.approx(0, abs=1e-9)


def test_few_patients_have_a_calibration_error_though_every_probability_is_right() -> None:
    rng = np.random.default_rng(3)
    few, many = (rng.random(size) for size in (50, 5000))

    of_few, of_many = calibration_error_if_right(few, 20), calibration_error_if_right(many, 2000)

    assert of_few.value > 5 * of_many.value > 0
    assert of_few.low < of_few.value < of_few.high
    drawn = [expected_calibration_error(rng.random(50) < few, few) for _ in range(400)]
    assert of_few.value == pytest.approx(np.mean(drawn), rel=0.1)
    assert np.mean([of_few.low <= one <= of_few.high for one in drawn]) > 0.9


def test_probabilities_that_are_too_bold_leave_the_range_of_calibrated_ones() -> None:
    given = scores(500)
    bold = StudyScores(given.study_uids, given.truth, np.where(given.scores > 0.5, 0.99, 0.01))

    overall = evaluate(bold, HALF).outputs[0].estimates

    assert overall["ece"].value > overall["ece_if_calibrated"].high


def test_an_interval_holds_the_value_and_narrows_with_the_number_of_patients() -> None:
    few, many = (evaluate(scores(n, signal=1.0), HALF, resamples=200).outputs[0].estimates["auroc"] for n in (60, 600))

    assert few.low < few.value < few.high
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    one, other = (evaluate(scores(), HALF, resamples=50, seed=3) for _ in range(2))

    assert one == other


def test_what_cannot_be_measured_has_no_number() -> None:
    truth = np.zeros(5, dtype=bool)
    p = np.linspace(0, 1, 5)

    assert math.isnan(auroc(truth, p))
    assert math.isnan(average_precision(truth, p))
    assert math.isnan(mean_level_auroc(np.zeros((5, 8), dtype=bool), np.zeros((5, 8))))


def test_levels_without_a_fracture_are_left_out_of_the_mean() -> None:
    given = scores()
    truth = given.truth.copy()
    truth[:, 3] = False

    mean = mean_level_auroc(truth, given.scores)

    rest = [i for i in range(1, 8) if i != 3]
    assert mean == pytest.approx(np.mean([roc_auc_score(truth[:, i], given.scores[:, i]) for i in rest]))


def test_what_is_best_submitted_is_scored_beside_what_is_probable() -> None:
    given = scores()

    found = evaluate(given, HALF, resamples=5)

    adjusted = 2 * given.scores / (1 + given.scores)
    assert found.competition_b.value == pytest.approx(competition_loss(given.truth, given.scores).overall)
    assert found.competition_b_adjusted.value == pytest.approx(competition_loss(given.truth, adjusted).overall)


def test_a_fitted_overall_is_scored_beside_the_other() -> None:
    given = scores()

    found = evaluate(given, HALF, given.scores[:, 0] ** 2, resamples=5).fitted_overall

    assert found is not None
    assert found.estimates["auroc"].value == pytest.approx(roc_auc_score(given.truth[:, 0], given.scores[:, 0]))
    assert evaluate(given, HALF, resamples=5).fitted_overall is None


def one_output(truth: np.ndarray, p: np.ndarray) -> StudyScores:
    """Returns studies of which only the overall output matters."""
    return StudyScores(tuple(map(str, range(len(truth)))), np.tile(truth[:, None], 8), np.tile(p[:, None], 8))


def predictive(truth: np.ndarray, p: np.ndarray, prevalence: float) -> tuple[float, float]:
    found = evaluate(one_output(truth, p), HALF, prevalence=prevalence, resamples=5).outputs[0].estimates
    return found["ppv_half"].value, found["npv_half"].value


def test_predictive_values_follow_bayes_for_the_prevalence_that_is_given() -> None:
    truth = np.array([True] * 4 + [False] * 6)
    p = np.array([0.9, 0.8, 0.7, 0.1, 0.6, 0.1, 0.1, 0.2, 0.3, 0.1])

    ppv, npv = predictive(truth, p, prevalence=0.1)

    sensitivity, specificity = 3 / 4, 5 / 6
    assert ppv == pytest.approx(0.1 * sensitivity / (0.1 * sensitivity + 0.9 * (1 - specificity)))
    assert npv == pytest.approx(0.9 * specificity / (0.9 * specificity + 0.1 * (1 - sensitivity)))


def test_predictive_values_of_the_own_prevalence_are_its_shares() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(400) < 0.3
    p = np.clip(truth * 0.2 + rng.random(400) * 0.8, 0, 1)

    ppv, npv = predictive(truth, p, float(truth.mean()))

    assert ppv == pytest.approx(truth[p >= 0.5].mean())
    assert npv == pytest.approx((~truth[p < 0.5]).mean())
