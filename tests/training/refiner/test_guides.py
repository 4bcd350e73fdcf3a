from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.specs import RefinerSpec
from cspine.training.refiner.guides import GuideChange, Swap, apply_guide, sample_guide
from cspine.training.refiner.settings import GuideSettings

SPEC = RefinerSpec(spacing_mm=(1.25, 1.25, 1.25), size=(48, 48, 48), window_hu=(-300.0, 1300.0))
BACK, UP = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])


def neck() -> NDArray[np.uint8]:
    """Returns C3, C4 and C5, each a block with an arch behind, and other bone in front."""
    classes = np.zeros(SPEC.size, np.uint8)
    for level in (3, 4, 5):
        low = 4 + 14 * (5 - level)
        classes[low : low + 12, 8:24, 12:36] = level
        classes[low : low + 12, 32:40, 16:32] = level
    classes[:, :4] = 9
    return classes


def change(**changes: Any) -> GuideChange:
    """Returns settings of a guide that is off by nothing but what a test asks for."""
    quiet = GuideChange(np.zeros(3), np.zeros((3, 4, 5, 5)), 0.0, 0.0, (), 0)
    return replace(quiet, **changes)


def guide(**changes: Any) -> NDArray[np.uint8]:
    return apply_guide(change(**changes), neck(), 4, SPEC)


def test_without_a_change_coarse_labels_are_those_of_the_crop_and_hold_vertebrae_alone() -> None:
    found = guide()

    assert found.shape == (24, 24, 24)
    assert set(np.unique(found)) == {0, 3, 4, 5}
    for level in (3, 4, 5):
        assert np.count_nonzero(found == level) * 8 == pytest.approx(np.count_nonzero(neck() == level), rel=0.1)


def test_coarse_labels_are_shifted_by_so_many_millimetres() -> None:
    plain, moved = (np.argwhere(guide(shift_mm=np.array([0, 0, mm])) == 4).mean(axis=0) for mm in (0.0, 2.5))

    np.testing.assert_allclose(plain - moved, (0, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("giver", "taker", "name"), [(0, 1, 5), (0, -1, 3), (0, None, 0)])
def test_an_arch_gets_the_name_of_a_neighbour_or_none(giver: int, taker: int | None, name: int) -> None:
    found, plain = guide(swaps=(Swap(giver, taker, BACK, 0.2),)), guide()

    taken = (plain == 4) & (found != 4)
    assert np.count_nonzero(taken) == pytest.approx(0.2 * np.count_nonzero(plain == 4), rel=0.3)
    assert np.argwhere(taken)[:, 1].min() >= 16
    assert (found[taken] == name).all()


def test_the_top_of_the_vertebra_below_is_taken_for_the_one_that_is_asked_for() -> None:
    found, plain = guide(swaps=(Swap(1, 0, UP, 0.4),)), guide()

    taken = (plain == 5) & (found == 4)
    assert taken.any()
    assert np.argwhere(taken)[:, 0].min() > np.argwhere(plain == 5)[:, 0].mean() - 1


def test_a_swap_with_a_vertebra_that_is_not_there_changes_nothing() -> None:
    classes = np.where(neck() == 4, 4, 0).astype(np.uint8)

    one, other = (apply_guide(change(swaps=swaps), classes, 4, SPEC) for swaps in ((), (Swap(-1, 0, BACK, 0.5),)))

    np.testing.assert_array_equal(one, other)


def test_vertebrae_swell_and_shrink() -> None:
    sizes = [np.count_nonzero(guide(size_noise=size)) for size in (-0.4, 0.0, 0.4)]

    assert sizes[0] < 0.95 * sizes[1]
    assert sizes[1] < 0.95 * sizes[2]


def test_border_noise_moves_borders_and_seldom_more_than_a_few_voxels() -> None:
    found, plain = guide(border_noise=0.3, seed=1), guide()

    changed = np.mean(found != plain)
    assert 0.001 < changed < 0.1


def test_the_same_seed_gives_the_same_labels_and_another_others() -> None:
    one, again, other = (
        apply_guide(sample_guide(np.random.default_rng(seed), GuideSettings()), neck(), 4, SPEC) for seed in (1, 1, 2)
    )

    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_changes_stay_within_its_settings() -> None:
    settings = GuideSettings(shift_mm=4.0, swap_share=0.5, swap_largest=0.4)
    drawn = [sample_guide(np.random.default_rng(seed), settings) for seed in range(200)]

    assert max(np.linalg.norm(one.shift_mm) for one in drawn) <= 4
    swaps = [swap for one in drawn for swap in one.swaps]
    assert 0.35 < np.mean([bool(one.swaps) for one in drawn]) < 0.65
    assert all(0.05 <= swap.share <= 0.4 and 0 in (swap.giver, swap.taker or 0) for swap in swaps)
    assert {swap.taker for swap in swaps} == {-1, 0, 1, None}
