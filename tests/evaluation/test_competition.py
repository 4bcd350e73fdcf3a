import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.metrics import log_loss

from cspine.evaluation.competition import competition_loss, competition_weights, metric_adjusted

STUDIES = 2019
FRACTURED = np.array([961, 146, 285, 73, 108, 162, 277, 393])
"""Label counts of the published table: overall, C1..C7."""

OF_EACH_NUMBER = np.array([1058, 623, 239, 64, 26, 7, 2])
"""Studies with 0 to 6 fractured levels, of the same table."""

TOGETHER = np.array([122, 169, 115, 155, 238, 309, 266])
"""Of each level, how many studies have it and any one other fractured, summed over the others, of the same table."""

PREVALENCE = FRACTURED / STUDIES
LAST_ROW = np.array([0.531, 0.103, 0.193, 0.051, 0.075, 0.111, 0.184, 0.256])
CONSTANTS = {"half": np.full(8, 0.5), "prevalence": PREVALENCE, "adjusted": metric_adjusted(PREVALENCE), "last": LAST_ROW}


def truth_with_these_counts() -> np.ndarray:
    """Returns a table with the published counts; the loss of a constant, normalised over all studies, depends on them alone."""
    return np.arange(STUDIES)[:, None] < FRACTURED


@pytest.mark.parametrize(
    ("constant", "published"),
    [
        (CONSTANTS["half"], ".6931"),
        (CONSTANTS["prevalence"], ".6127"),
        (CONSTANTS["adjusted"], ".5668"),
    ],
)
def test_constant_predictions_cost_what_is_published_for_them(constant: np.ndarray, published: str) -> None:
    loss = competition_loss(truth_with_these_counts(), np.tile(constant, (STUDIES, 1)))

    assert f"{loss.overall:.4f}" == "0" + published


@pytest.fixture(scope="module")
def extremes() -> dict[str, list[np.ndarray]]:
    """Returns for each constant the two tables with the published counts within whose studies it costs least and most."""
    return {name: [truth_with_these_numbers(constant, sign) for sign in (1, -1)] for name, constant in CONSTANTS.items()}


def truth_with_these_numbers(constant: np.ndarray, sign: int) -> np.ndarray:
    """Returns the table with the published counts, ``(2019, 8)``, that costs a constant least, or most where ``sign`` is -1."""
    numbers, entry = np.arange(1, 7), np.eye(42).reshape(7, 6, 42)
    cost = ((np.log1p(-constant) - 2 * np.log(constant))[1:, None] / (21 + numbers)).ravel()
    sums = np.concatenate([entry.sum(axis=1), np.einsum("jkc,k->jc", entry, numbers - 1), entry.sum(axis=0)])
    counts = np.concatenate([FRACTURED[1:], TOGETHER, numbers * OF_EACH_NUMBER[1:]])
    bounds = [(0.0, float(studies)) for studies in np.tile(OF_EACH_NUMBER[1:], 7)]
    found = linprog(sign * cost, A_eq=sums, b_eq=counts, bounds=bounds, integrality=1).x
    assert found is not None
    rows = [np.zeros((OF_EACH_NUMBER[0], 8), dtype=bool)]
    for of_this_number, levels in zip(OF_EACH_NUMBER[1:], np.rint(found).astype(int).reshape(7, 6).T, strict=True):
        dealt = np.repeat(np.arange(1, 8), levels)
        part = np.zeros((of_this_number, 8), dtype=bool)
        part[:, 0] = True
        part[np.arange(len(dealt)) % of_this_number, dealt] = True
        rows.append(part)
    return np.concatenate(rows)


@pytest.mark.parametrize(("name", "published"), [("half", 0.6931), ("prevalence", 0.5638), ("adjusted", 0.5757), ("last", 0.5573)])
def test_within_each_study_constants_cost_what_is_published_for_them(
    extremes: dict[str, list[np.ndarray]], name: str, published: float
) -> None:
    """The labels that occur together are published by pairs and numbers only; that leaves less than the last printed digit open."""
    losses = [competition_loss(truth, np.tile(CONSTANTS[name], (STUDIES, 1))).per_study for truth in extremes[name]]

    assert losses[0] - 0.00005 <= published <= losses[1] + 0.00005
    assert losses[1] - losses[0] < 0.0001


def test_the_last_constant_is_the_one_that_costs_least_within_each_study(extremes: dict[str, list[np.ndarray]]) -> None:
    for truth in extremes["last"]:
        weights = competition_weights(truth)
        weights /= weights.sum(axis=1, keepdims=True)
        best = (weights * truth).sum(axis=0) / weights.sum(axis=0)

        np.testing.assert_allclose(best, LAST_ROW, atol=0.0007)
        assert f"{competition_loss(truth, np.tile(best, (STUDIES, 1))).overall:.4f}" == "0.5852"


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
