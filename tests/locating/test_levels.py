from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.locating.levels import locate_levels, with_upright_atlas
from cspine.phantoms import BEYOND_LIFE, LIFE, Spread
from cspine.results import LevelStatus
from tests.locating.necks import neck, predicted

RNG = np.random.default_rng


def dice(found: np.ndarray, truth: np.ndarray, level: int) -> float:
    return float(2 * np.count_nonzero((found == level) & (truth == level)) / ((found == level).sum() + (truth == level).sum()))


@pytest.mark.parametrize(("seed", "spread"), [(1, LIFE), (2, LIFE), (3, BEYOND_LIFE), (4, BEYOND_LIFE), (5, BEYOND_LIFE)])
def test_levels_that_are_seen_well_are_found_where_they_are(seed: int, spread: Spread) -> None:
    _, grid, classes = neck(seed, spread)

    found = locate_levels(predicted(classes, RNG(seed)), grid, np.ones(grid.shape, bool))

    assert [one.level for one in found.vertebrae] == list(CERVICAL)
    for one in found.vertebrae:
        assert one.status is LevelStatus.ASSESSED
        truth = grid.world(np.argwhere(classes == one.level).mean(axis=0))
        assert np.linalg.norm(truth - one.centre_mm) < (3 if spread is LIFE else 5)
        assert dice(found.labels.labels, classes, one.level) > (0.8 if spread is LIFE else 0.7)
        assert one.axis[2] > 0.3


@pytest.mark.parametrize("seed", [1, 2])
def test_a_vertebra_with_another_name_does_not_shift_its_neighbours(seed: int) -> None:
    _, grid, classes = neck(seed)
    odd = np.where(classes == 4, 5, classes)  # the network calls C4 another C5

    found = locate_levels(predicted(odd, RNG(seed)), grid, np.ones(grid.shape, bool))

    assert [one.level for one in found.vertebrae] == list(CERVICAL)
    centre = grid.world(np.argwhere(classes == 4).mean(axis=0))
    c4 = found.vertebra(Level.C4)
    assert c4 is not None
    assert np.linalg.norm(centre - c4.centre_mm) < 6


def test_a_blob_far_from_the_spine_takes_part_in_nothing() -> None:
    _, grid, classes = neck(1)
    odd = classes.copy()
    odd[20:26, 3:9, 3:9] = 2

    found = locate_levels(predicted(odd, RNG(0)), grid, np.ones(grid.shape, bool))

    centre = grid.world(np.argwhere(classes == 2).mean(axis=0))
    c2 = found.vertebra(Level.C2)
    assert c2 is not None
    assert np.linalg.norm(centre - c2.centre_mm) < 3


def test_a_vertebra_of_another_kind_far_beside_the_line_is_not_named_by_its_height() -> None:
    _, grid, classes = neck(1)
    odd, middle = classes.copy(), np.argwhere(classes == 2).mean(axis=0).astype(int)
    odd[middle[0] - 4 : middle[0] + 4, middle[1] - 4 : middle[1] + 4, -9:-1] = 8  # as far beside as the picture reaches

    found = locate_levels(predicted(odd, RNG(0)), grid, np.ones(grid.shape, bool))

    named = found.labels.labels[middle[0] - 4 : middle[0] + 4, middle[1] - 4 : middle[1] + 4, -9:-1]
    assert not np.isin(named, CERVICAL).any()


def test_a_level_that_the_picture_cuts_is_partly_in_view_and_what_lies_beyond_is_not_there() -> None:
    made, grid, classes = neck(1)
    cut = round(float(grid.index(np.array([made.centres_mm["C5"]]))[0][0]))
    part = grid.part((cut, 0, 0), (grid.shape[0] - cut, *grid.shape[1:]))

    found = locate_levels(predicted(classes[cut:], RNG(0)), part, np.ones(part.shape, bool))

    statuses = {one.level: one.status for one in found.vertebrae}
    assert statuses[Level.C5] is LevelStatus.PARTLY_IN_VIEW
    assert statuses[Level.C3] is LevelStatus.ASSESSED
    assert Level.C7 not in statuses


def test_where_a_network_cannot_tell_levels_apart_they_are_uncertain() -> None:
    _, grid, classes = neck(1)
    top, bottom = (int(np.argwhere(classes == level)[:, 0].mean()) for level in (4, 6))
    part = grid.part((bottom, 0, 0), (top - bottom, *grid.shape[1:]))
    p = predicted(classes[bottom:top], RNG(0))
    p[..., 1:9] = p[..., 1:9].mean(axis=-1, keepdims=True)

    found = locate_levels(p, part, np.ones(part.shape, bool))

    assert all(one.status is LevelStatus.UNCERTAIN for one in found.vertebrae)


def test_without_a_spine_nothing_is_found() -> None:
    _, grid, classes = neck(1)
    found = locate_levels(predicted(np.where(classes == 9, 9, 0), RNG(0)), grid, np.ones(grid.shape, bool))

    assert found.vertebrae == ()
    assert len(found.line_mm) == 0


def test_no_piece_of_a_level_lies_far_from_it() -> None:
    _, grid, classes = neck(3, BEYOND_LIFE)
    labels = locate_levels(predicted(classes, RNG(0), noise=0.5), grid, np.ones(grid.shape, bool)).labels.labels

    for level in CERVICAL:
        apart = [np.argwhere(one == level) * grid.spacing_mm for one in (labels, classes)]
        reach = [np.linalg.norm(index - index.mean(axis=0), axis=1).max() for index in apart]
        assert reach[0] < reach[1] + 15


@pytest.mark.parametrize(
    ("kept", "sure"),
    [
        ((2, 3, 4), True),  # C2's shape gives the count away
        ((3, 4, 5), False),
        ((4, 5, 6), False),
        ((5, 6, 7), False),  # even with a network that is right about every voxel
        ((3, 4, 5, 6, 7, 8), True),  # most of the neck, down to the chest
    ],
)
def test_a_count_that_nothing_gives_away_is_uncertain(kept: tuple[int, ...], sure: bool) -> None:
    _, grid, classes = neck(1)
    alone = np.where(np.isin(classes, (*kept, 9)), classes, 0)

    found = locate_levels(predicted(alone, RNG(0), noise=0.1), grid, np.ones(grid.shape, bool))

    assert [one.level for one in found.vertebrae] == [Level(level) for level in kept if level <= 7]
    assert {one.status for one in found.vertebrae} == ({LevelStatus.ASSESSED} if sure else {LevelStatus.UNCERTAIN})
    assert all((one.confidence >= 0.7) is sure for one in found.vertebrae)


def test_a_heavy_spine_far_below_a_gap_does_not_keep_the_line_from_the_neck() -> None:
    _, grid, classes = neck(1)
    below = np.zeros((110, *classes.shape[1:]), classes.dtype)
    below[:60, 20:60, 20:60] = 8
    below[:30, 10:70, 10:70] = 1
    tall = np.concatenate([below, classes])
    wide = grid.part((-110, 0, 0), tall.shape)

    found = locate_levels(predicted(tall, RNG(0)), wide, np.ones(wide.shape, bool))

    assert [one.level for one in found.vertebrae] == list(CERVICAL)
    for one in found.vertebrae:
        assert np.linalg.norm(grid.world(np.argwhere(classes == one.level).mean(axis=0)) - one.centre_mm) < 6


def test_an_order_that_the_network_does_not_see_itself_names_nothing_surely() -> None:
    _, grid, classes = neck(1)
    probabilities = predicted(classes, RNG(0))
    seen = np.ones(grid.shape, bool)
    half = RNG(1).random(grid.shape) < 0.5
    muddled = np.where(half[..., None], np.roll(probabilities[..., 1:8], 3, axis=-1), probabilities[..., 1:8])
    odd = np.concatenate([probabilities[..., :1], muddled, probabilities[..., 8:]], axis=-1)

    found, muddle = locate_levels(probabilities, grid, seen), locate_levels(odd, grid, seen)

    assert min(one.agreement for one in found.vertebrae) > 0.72
    assert all(one.status is not LevelStatus.UNCERTAIN for one in found.vertebrae)
    assert np.mean([one.agreement for one in muddle.vertebrae]) < 0.72
    assert all(one.status is LevelStatus.UNCERTAIN and one.confidence <= 0.5 for one in muddle.vertebrae)


def test_a_c1_that_leans_far_from_c2_gets_its_axis() -> None:
    _, grid, classes = neck(1)
    atlas, axis, *rest = locate_levels(predicted(classes, RNG(1)), grid, np.ones(grid.shape, bool)).vertebrae

    beside = replace(atlas, axis=(-0.7, -0.1, 0.7))

    assert [one.axis for one in with_upright_atlas((beside, axis, *rest))] == [axis.axis, *(one.axis for one in (axis, *rest))]
    assert with_upright_atlas((atlas, axis, *rest)) == (atlas, axis, *rest)
    assert with_upright_atlas((beside, *rest)) == (beside, *rest)
