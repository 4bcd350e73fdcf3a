"""A study assessed as it is and mirrored on the next slices."""

import numpy as np
import pytest

from cspine.modelpack.tta import combine_tta, tta_inputs


def predicted(passes: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "overall": rng.random((passes, 1), dtype=np.float32),
        "fracture": rng.random((passes, 7), dtype=np.float32),
        "attention": rng.random((passes, 7, 3), dtype=np.float32),
        "fracture_map": rng.random((passes, 7, 3, 2, 4), dtype=np.float32),
    }


def test_every_other_view_is_mirrored() -> None:
    crops = np.random.default_rng(0).random((2, 7, 2, 8, 8, 4), dtype=np.float32)

    seen = tta_inputs(crops)

    np.testing.assert_array_equal(seen[0], crops[0])
    np.testing.assert_array_equal(seen[1, :, :, :, 0], crops[1, :, :, :, -1])
    np.testing.assert_array_equal(tta_inputs(crops[:1]), crops[:1])


def test_the_map_of_a_mirrored_view_is_turned_back() -> None:
    given = predicted(2)
    given["fracture_map"] = np.zeros_like(given["fracture_map"])
    given["fracture_map"][0, 2, 1, 0, 1] = given["fracture_map"][1, 2, 1, 0, 2] = 0.8

    cells = combine_tta(given).cells

    assert cells[2, 1, 0, 1] == pytest.approx(0.8)
    assert np.count_nonzero(cells) == 1


def test_scores_are_the_mean_of_logits_and_attention_that_of_weights() -> None:
    given = predicted(2)
    given["fracture"][:, 3] = 0.5, 1 / (1 + np.exp(-2))

    seen = combine_tta(given)

    assert seen.scores.shape == (8,)
    assert seen.scores[4] == pytest.approx(1 / (1 + np.exp(-1)))
    np.testing.assert_allclose(seen.each, np.concatenate([given["overall"], given["fracture"]], axis=1))
    assert np.all((seen.scores >= seen.each.min(axis=0)) & (seen.scores <= seen.each.max(axis=0)))
    np.testing.assert_allclose(seen.attention, given["attention"].mean(axis=0))


def test_a_single_view_says_what_it_says() -> None:
    given = predicted(1)

    seen = combine_tta(given)

    np.testing.assert_allclose(seen.scores, seen.each[0], rtol=1e-6)
    np.testing.assert_array_equal(seen.cells, given["fracture_map"][0])


def test_what_was_said_is_left_as_it_was() -> None:
    given = predicted(2)
    before = given["fracture_map"].copy()

    combine_tta(given)

    np.testing.assert_array_equal(given["fracture_map"], before)
