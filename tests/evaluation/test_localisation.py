import math

import numpy as np
import pytest

from cspine.evaluation.localisation import FALSE_POSITIVES, StudyLocalisation, localisation_metrics

NO_DICE = np.full(7, np.nan)


def study(lesions: int | None, *found: tuple[float, int]) -> StudyLocalisation:
    scores, hits = np.array([s for s, _ in found]), np.array([h for _, h in found], dtype=np.intp)
    return StudyLocalisation(lesions, scores, hits, NO_DICE)


def test_the_hit_rate_is_the_share_of_fractured_studies_whose_strongest_place_is_on_a_fracture() -> None:
    places = [study(1, (0.9, 0), (0.5, -1)), study(2, (0.9, -1), (0.8, 1)), study(1), study(0, (0.99, -1)), study(None)]

    found = localisation_metrics(places, resamples=20)

    assert found.hit_rate.value == pytest.approx(1 / 3)
    assert (found.studies, found.lesions, found.masked) == (4, 4, 0)


def by_hand(places: list[StudyLocalisation], rate: float) -> float:
    """Returns the most fractures found by any threshold that gives at most ``rate`` false positives per study."""
    best = 0.0
    for threshold in np.unique(np.concatenate([place.scores for place in places])):
        alarms = sum(np.sum((p.scores >= threshold) & (p.hits < 0)) for p in places)
        if alarms <= rate * len(places):
            caught = sum(len(set(p.hits[(p.scores >= threshold) & (p.hits >= 0)])) for p in places)
            best = max(best, caught / sum(p.lesions or 0 for p in places))
    return best


@pytest.mark.parametrize("seed", range(5))
def test_froc_agrees_with_counting_at_every_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = []
    for _ in range(12):
        lesions = int(rng.integers(0, 3))
        count = int(rng.integers(0, 9))
        places.append(
            StudyLocalisation(lesions, rng.random(count), rng.integers(-1, max(lesions, 1) if lesions else 0, count), NO_DICE)
        )

    found = localisation_metrics(places, resamples=5)

    for rate, estimate in zip(FALSE_POSITIVES, found.found, strict=True):
        assert estimate.value == pytest.approx(by_hand(places, rate))
    assert all(a <= b for a, b in zip(found.froc.found, found.froc.found[1:], strict=False))


def test_dice_is_averaged_over_studies_with_a_mask() -> None:
    one, other = np.linspace(0.1, 0.7, 7), np.linspace(0.3, 0.9, 7)
    one[6] = np.nan
    places = [StudyLocalisation(None, np.empty(0), np.empty(0, dtype=np.intp), dice) for dice in (one, other, NO_DICE)]

    found = localisation_metrics(places, resamples=20)

    assert found.masked == 2
    assert found.dice[0].value == pytest.approx(0.2)
    assert found.dice[6].value == pytest.approx(0.9)


def test_where_nothing_is_known_there_is_no_number() -> None:
    found = localisation_metrics([study(None)], resamples=5)

    assert math.isnan(found.hit_rate.value)
    assert all(math.isnan(estimate.value) for estimate in (*found.found, *found.dice))
    assert found.froc.found == ()
