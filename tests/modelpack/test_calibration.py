import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cspine.errors import PackageError
from cspine.modelpack import OUTPUTS, Calibration

_SCORES = arrays(np.float64, (5, len(OUTPUTS)), elements=st.floats(0, 1))


@given(_SCORES)
def test_the_identity_changes_no_score_of_a_level(scores: np.ndarray) -> None:
    np.testing.assert_allclose(Calibration.identity().apply(scores)[:, 1:], scores[:, 1:], atol=2e-6)


def test_a_study_is_as_suspicious_as_its_most_suspicious_level() -> None:
    slopes, intercepts = (2.0, *([1.0] * 7)), (0.5, -3.0, *([0.0] * 6))
    scores = np.array([0.99, 0.6, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])

    found = Calibration(slopes, intercepts).apply(scores)

    assert found[1] < found[2] == pytest.approx(0.2)
    assert found[0] == pytest.approx(max(0.2, 1 / (1 + np.exp(-0.5 - 2 * np.log(0.2 / 0.8)))), abs=1e-4)


@given(_SCORES, st.floats(0.05, 5), st.floats(-5, 5))
def test_any_fracture_is_never_less_probable_than_a_fracture_of_one_level(
    scores: np.ndarray, slope: float, intercept: float
) -> None:
    found = Calibration((slope, *([1.5] * 7)), (intercept, *([-1.0] * 7))).apply(scores)

    assert np.all(found[:, 0] >= found[:, 1:].max(axis=1))


@given(_SCORES, st.floats(0.2, 5), st.floats(-3, 3))
def test_calibration_keeps_the_order_of_scores_and_stays_a_probability(scores: np.ndarray, slope: float, intercept: float) -> None:
    calibration = Calibration((slope,) * len(OUTPUTS), (intercept,) * len(OUTPUTS))

    probabilities = calibration.apply(np.sort(scores, axis=0))

    assert np.all((probabilities >= 0) & (probabilities <= 1))
    assert np.all(np.diff(probabilities, axis=0) >= -1e-12)


def test_each_output_has_its_own_line() -> None:
    slopes, intercepts = (1.0,) * 7 + (2.0,), (0.0,) * 7 + (1.0,)

    probabilities = Calibration(slopes, intercepts).apply(np.full(8, 0.75))

    np.testing.assert_allclose(probabilities[1:7], 0.75)
    assert probabilities[7] == pytest.approx(1 / (1 + np.exp(-(2 * np.log(3) + 1))))


@pytest.mark.parametrize("lines", [((1.0,) * 7, (0.0,) * 8), ((0.0,) * 8, (0.0,) * 8), ((1.0,) * 8, (float("nan"),) * 8)])
def test_a_calibration_needs_eight_rising_lines(lines: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    with pytest.raises(PackageError, match="needs 8 slopes above 0 and as many intercepts"):
        Calibration(*lines)
