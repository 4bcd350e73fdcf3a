import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.locating.ordering import LENGTHS_MM, CentrelineOrder, find_order

STEP_MM = 2.5
NECK = [0] * 4 + [state for state, mm in enumerate(LENGTHS_MM, 1) for _ in range(round(mm / STEP_MM))] + [8] * 14


def predicted(states: list[int], sure: float = 0.8) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the probabilities of a network that sees every point rightly, and is as sure as ``sure``."""
    evidence = np.full((len(states), 8), (1 - sure) / 7)
    presence = np.ones(len(states))
    for point, state in enumerate(states):
        if state:
            evidence[point, state - 1] = sure
        else:
            evidence[point], presence[point] = 0.001, 0.0
    return evidence, presence


def stretches(order: CentrelineOrder) -> list[tuple[int, int]]:
    return list(zip(order.first.tolist(), order.last.tolist(), strict=True))


def truth(states: list[int]) -> list[tuple[int, int]]:
    found = np.array(states)
    return [
        (int(np.flatnonzero(found == level)[0]), int(np.flatnonzero(found == level)[-1])) if (found == level).any() else (-1, -1)
        for level in range(1, 8)
    ]


def test_what_is_seen_rightly_is_read_as_it_is() -> None:
    order = find_order(*predicted(NECK), STEP_MM)

    assert stretches(order) == truth(NECK)
    assert order.confidence.min() > 0.85
    np.testing.assert_allclose(order.probabilities.sum(axis=1), 1, atol=1e-9)


def test_one_vertebra_that_is_called_by_another_name_does_not_shift_the_count() -> None:
    evidence, presence = predicted(NECK)
    c5 = np.array(NECK) == 5
    evidence[c5] = np.roll(evidence[c5], 1, axis=1)  # all of C5 is called C6

    order = find_order(evidence, presence, STEP_MM)

    assert np.abs(np.array(stretches(order)) - truth(NECK)).max() <= 1
    assert order.confidence.min() > 0.7


def test_a_level_that_is_named_twice_is_found_once() -> None:
    evidence, presence = predicted(NECK)
    wrong = (np.array(NECK) == 7) & (np.arange(len(NECK)) % 2 == 0)
    evidence[wrong] = np.roll(evidence[wrong], -1, axis=1)  # half of C7 is called C6

    assert np.abs(np.array(stretches(find_order(evidence, presence, STEP_MM))) - truth(NECK)).max() <= 1


@pytest.mark.parametrize("first", range(1, 8))
@pytest.mark.parametrize("cut", [0, 3])
def test_a_picture_that_begins_within_the_neck_is_counted_by_what_is_seen(first: int, cut: int) -> None:
    states = NECK[NECK.index(first) + cut :]

    order = find_order(*predicted(states), STEP_MM)

    found = {level for level, (begin, _) in enumerate(stretches(order), 1) if begin >= 0}
    assert found == set(range(first, 8))


def test_three_levels_alone_are_known_as_well_as_they_are_seen() -> None:
    states = [state for state in NECK if state in (4, 5, 6)]

    sure, unsure = (find_order(*predicted(states, share), STEP_MM) for share in (0.8, 0.2))

    assert stretches(sure)[3:6] == truth(states)[3:6]
    assert sure.confidence[3:6].min() > 0.8
    assert unsure.confidence.max() < 0.7


def test_a_chest_alone_holds_no_cervical_vertebra() -> None:
    order = find_order(*predicted([8] * 40), STEP_MM)

    assert (order.first == -1).all()
    assert order.probabilities[3:, 8].min() > 0.95


def test_a_missing_level_is_left_out_where_its_neighbours_are_seen_clearly() -> None:
    states = [state for state in NECK if state != 4]

    order = find_order(*predicted(states, 0.95), STEP_MM)

    assert order.first[3] == -1 or order.last[3] - order.first[3] < 4


def test_gaps_between_bodies_do_not_part_the_spine() -> None:
    evidence, presence = predicted(NECK)
    borders = np.flatnonzero(np.diff(NECK)) + 1
    presence[borders[1:-1]] = 0.2

    assert np.abs(np.array(stretches(find_order(evidence, presence, STEP_MM))) - truth(NECK)).max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_necks_of_other_lengths_and_noise_keep_their_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = np.rint(LENGTHS_MM * rng.normal(1, 0.15, 7) / STEP_MM).astype(int)
    states = [0] * 3 + [state for state, size in enumerate(lengths, 1) for _ in range(size)] + [8] * 8
    evidence, presence = predicted(states, 0.5)
    evidence = evidence * rng.gamma(2.0, 1.0, evidence.shape)

    order = find_order(evidence, presence, STEP_MM)

    for level in range(1, 8):
        middle = np.mean(truth(states)[level - 1])
        assert order.first[level - 1] <= middle <= order.last[level - 1]
