from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cspine.modelpack.ordering import order_of


def _neck(per_level: int = 5, below: int = 0, above: int = 0) -> np.ndarray:
    """Returns how visible C7 to C1 are from the feet up; each level fades into its neighbours."""
    count = below + 7 * per_level + above
    middles = below + (6 - np.arange(7) + 0.5) * per_level
    away = np.abs(np.arange(count)[:, None] + 0.5 - middles)
    return np.clip(1.5 - away / per_level, 0.01, 0.99)


def test_levels_are_found_in_their_places() -> None:
    order = order_of(_neck(per_level=6, below=10, above=4))

    assert order.found.all()
    middles = (order.first + order.last) / 2
    np.testing.assert_allclose(middles, 10 + (6 - np.arange(7) + 0.5) * 6 - 0.5, atol=1)


@pytest.mark.parametrize("level", range(7))
def test_a_likeness_far_away_moves_no_level(level: int) -> None:
    visible = _neck(below=100, above=30)
    clean = order_of(visible)
    for start in (20, 70):
        visible[start : start + 4, level] = 0.99

    order = order_of(visible)

    np.testing.assert_array_equal(order.first, clean.first)
    np.testing.assert_array_equal(order.last, clean.last)


def test_a_level_in_the_wrong_order_is_not_found() -> None:
    visible = _neck(above=40)
    visible[:, 3] = 0.01
    visible[60:64, 3] = 0.99

    order = order_of(visible)

    assert order.found.tolist() == [True, True, True, False, True, True, True]
    assert order.last[3] < 30


def test_a_part_of_the_neck_is_enough() -> None:
    visible = _neck()[7:22]

    order = order_of(visible)

    assert order.found.tolist() == [False, False, True, True, True, True, False]


def test_nothing_visible_has_no_order() -> None:
    order = order_of(np.full((20, 7), 0.01))

    assert not order.found.any()


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.just(7)), elements=st.floats(0, 1)))
def test_found_levels_follow_each_other_whatever_the_network_says(visible: np.ndarray) -> None:
    order = order_of(visible)

    assert np.all((order.first >= 0) & (order.first <= order.last) & (order.last < len(visible)))
    for upper, lower in pairwise(np.flatnonzero(order.found)):
        assert order.first[lower] < order.last[upper]


@pytest.mark.parametrize(("peak", "found"), [(0.05, False), (0.15, True), (0.25, True)])
def test_a_level_has_slices_of_its_own_from_a_tenth_of_full_visibility_on(peak: float, found: bool) -> None:
    visible = np.zeros((28, 7))
    for level in range(7):
        visible[4 * (6 - level) : 4 * (7 - level), level] = peak if level == 3 else 1.0

    assert bool(order_of(visible).found[3]) is found


@pytest.mark.parametrize(("faint", "grows"), [(0.4, False), (0.6, True)])
def test_a_stretch_grows_while_a_level_stays_half_as_visible_as_at_its_best(faint: float, grows: bool) -> None:
    """The topmost slices of C2 show C1 more; they are in C2's stretch where C2 is half as visible as at its best."""
    visible = np.zeros((28, 7))
    for level in range(7):
        visible[4 * (6 - level) : 4 * (7 - level), level] = 1.0
    visible[24:26, 1] = faint

    assert (int(order_of(visible).last[1]) == 25) is grows
