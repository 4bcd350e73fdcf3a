import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from cspine.evaluation.competition import competition_loss, competition_weights, metric_adjusted

STUDIES = 2019
FRACTURED = np.array([961, 146, 285, 73, 108, 162, 277, 393])
"""Label counts of the published table: overall, C1..C7."""

PREVALENCE = FRACTURED / STUDIES
LAST_ROW = np.array([0.531, 0.103, 0.193, 0.051, 0.075, 0.111, 0.184, 0.256])


def truth_with_these_counts() -> np.ndarray:
    """Normalised over all studies at once, the loss of a constant depends on the counts alone."""
    return np.arange(STUDIES)[:, None] < FRACTURED


@pytest.mark.parametrize(
    ("constant", "published"),
    [
        (np.full(8, 0.5), ".6931"),
        (PREVALENCE, ".6127"),
        (metric_adjusted(PREVALENCE), ".5668"),
    ],
)
def test_constant_predictions_cost_what_is_published_for_them(constant: np.ndarray, published: str) -> None:
    loss = competition_loss(truth_with_these_counts(), np.tile(constant, (STUDIES, 1)))

    assert f"{loss.overall:.4f}" == "0" + published


def test_a_published_constant_that_was_rounded_costs_what_is_published_within_its_rounding() -> None:
    """The constants of the last row are printed with three digits; what that may change is 2.1e-4."""
    loss = competition_loss(truth_with_these_counts(), np.tile(LAST_ROW, (STUDIES, 1))).overall
    steps = [
        competition_loss(truth_with_these_counts(), np.tile(LAST_ROW + 0.0005 * np.eye(8)[i], (STUDIES, 1))).overall - loss
        for i in range(8)
    ]

    assert abs(loss - 0.5852) <= np.abs(steps).sum() + 0.00005


def test_within_a_study_one_half_costs_the_logarithm_of_two() -> None:
    loss = competition_loss(truth_with_these_counts(), np.full((STUDIES, 8), 0.5))

    assert f"{loss.per_study:.4f}" == "0.6931"


def test_the_two_normalisations_differ_where_studies_weigh_differently() -> None:
    truth = np.zeros((2, 8), dtype=bool)
    truth[0] = True
    probabilities = np.full((2, 8), 0.2)

    loss = competition_loss(truth, probabilities)

    assert loss.per_study == pytest.approx((-np.log(0.2) - np.log(0.8)) / 2)
    assert loss.overall == pytest.approx((-2 * np.log(0.2) - np.log(0.8)) / 3)


def test_weights_are_seven_for_the_patient_and_double_for_a_fracture() -> None:
    truth = np.zeros((1, 8), dtype=bool)
    truth[0, [0, 3]] = True

    assert competition_weights(truth).tolist() == [[14, 1, 1, 2, 1, 1, 1, 1]]


@given(st.integers(2, 30), st.integers(0, 2**31))
def test_the_loss_over_all_studies_is_the_weighted_log_loss_of_scikit_learn(studies: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, p = rng.random((studies, 8)) < 0.4, rng.uniform(0.001, 0.999, (studies, 8))

    ours = competition_loss(truth, p).overall

    weights = competition_weights(truth)
    assert ours == pytest.approx(log_loss(truth.ravel(), p.ravel(), sample_weight=weights.ravel(), labels=[False, True]))


def test_certainty_that_is_wrong_costs_much_but_not_infinitely_much() -> None:
    truth = np.ones((1, 8), dtype=bool)

    assert 30 < competition_loss(truth, np.zeros((1, 8), dtype=np.float32)).overall < 40
    assert competition_loss(truth, np.ones((1, 8), dtype=np.float32)).overall < 1e-14
