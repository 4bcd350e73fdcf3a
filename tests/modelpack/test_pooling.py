import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cspine.errors import PackageError
from cspine.modelpack import pool_slices

_ANY = arrays(np.float32, st.tuples(st.integers(1, 12), st.just(7)), elements=st.floats(0, 1, width=32))


def _neck() -> tuple[np.ndarray, np.ndarray]:
    """Returns C7 to C1 from the feet up, four slices each; C3 is fractured in one of its slices and a little in the others."""
    visible = np.zeros((30, 7))
    for level in range(7):
        visible[1 + 4 * (6 - level) : 5 + 4 * (6 - level), level] = (0.6, 1.0, 1.0, 0.6)
    fracture = np.full((30, 7), 0.05)
    fracture[17:21, 2] = (0.2, 0.2, 0.9, 0.2)
    return fracture, visible


def test_a_level_is_scored_in_the_slices_that_show_it() -> None:
    fracture, visible = _neck()
    fracture[5:9, 2] = 1.0  # where C6 is, C3 cannot be broken

    pooled = pool_slices(fracture, visible)

    assert pooled.key_slice[2] == 19
    assert 0.5 < pooled.scores[2] < 0.9
    np.testing.assert_allclose(np.delete(pooled.scores, 2), 0.05)
    assert (pooled.first_slice[2], pooled.last_slice[2]) == (17, 20)


def test_the_overall_score_is_the_noisy_or_of_the_levels_in_view() -> None:
    fracture, visible = _neck()
    visible[:, 4:] *= 0.3

    pooled = pool_slices(fracture, visible)

    assert pooled.in_view.tolist() == [True] * 4 + [False] * 3
    assert pooled.overall == pytest.approx(1 - np.prod(1 - pooled.scores[:4]))
    assert pooled.outputs.tolist() == [pooled.overall, *pooled.scores[:4], 0, 0, 0]


def test_a_level_out_of_order_is_not_in_view_however_visible() -> None:
    fracture, visible = _neck()
    fracture, visible = np.vstack([fracture, np.ones((60, 7))]), np.vstack([visible, np.zeros((60, 7))])
    visible[:, 4] = 0
    visible[80:84, 4] = 1.0

    pooled = pool_slices(fracture, visible)

    assert pooled.in_view.tolist() == [True] * 4 + [False] + [True] * 2
    assert pooled.overall < 0.9


def test_nothing_in_view_has_no_overall_score() -> None:
    pooled = pool_slices(np.ones((5, 7)), np.zeros((5, 7)))

    assert pooled.overall == 0
    assert pooled.scores.tolist() == [0.0] * 7


@given(_ANY, st.data())
def test_a_score_lies_between_the_smallest_and_the_largest_output(fracture: np.ndarray, data: st.DataObject) -> None:
    visible = data.draw(arrays(np.float32, fracture.shape, elements=st.floats(0.0625, 1, width=32)))

    pooled = pool_slices(fracture, visible)

    assert np.all(pooled.scores <= fracture.max(axis=0) + 1e-6)
    assert np.all(pooled.scores >= fracture.min(axis=0) - 1e-6)
    assert np.all((pooled.first_slice <= pooled.key_slice) & (pooled.key_slice <= pooled.last_slice))


@given(_ANY)
def test_slices_that_show_nothing_change_nothing(fracture: np.ndarray) -> None:
    visible = np.full(fracture.shape, 0.8)
    nothing = np.zeros((4, 7))

    alone, among = pool_slices(fracture, visible), pool_slices(np.vstack([nothing + 1, fracture]), np.vstack([nothing, visible]))

    np.testing.assert_allclose(alone.scores, among.scores)
    np.testing.assert_array_equal(alone.key_slice + 4, among.key_slice)


@pytest.mark.parametrize("shape", [(0, 7), (3, 6), (7,)])
def test_outputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PackageError, match=r"must both be \(slices, 7\)"):
        pool_slices(np.zeros(shape), np.zeros(shape))


def test_outputs_that_are_not_finite_are_refused() -> None:
    with pytest.raises(PackageError, match="must be finite"):
        pool_slices(np.full((2, 7), np.nan), np.ones((2, 7)))


def test_slices_of_half_the_peak_count_and_fainter_ones_do_not() -> None:
    fracture, visible = _neck()
    visible[17:21, 2] = (0.45, 1.0, 0.5, 0.55)
    fracture[17:21, 2] = (1.0, 0.0, 0.0, 0.0)  # broken only where it is too faint to count

    pooled = pool_slices(fracture, visible)

    assert pooled.scores[2] == 0
    assert (pooled.first_slice[2], pooled.last_slice[2]) == (18, 20)


def test_the_score_is_the_generalised_mean_with_exponent_four_weighted_by_visibility() -> None:
    fracture, visible = _neck()

    weights, predicted = visible[17:21, 2], fracture[17:21, 2]

    assert pool_slices(fracture, visible).scores[2] == pytest.approx((np.sum(weights * predicted**4) / np.sum(weights)) ** 0.25)


@pytest.mark.parametrize(("peak", "shown"), [(0.49, False), (0.5, True)])
def test_a_level_is_in_view_from_half_of_full_visibility_on(peak: float, shown: bool) -> None:
    fracture, visible = _neck()
    visible[:, 2] *= peak

    assert bool(pool_slices(fracture, visible).in_view[2]) is shown
