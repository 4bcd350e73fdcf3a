"""Names are as sure as the witnesses that were weighed allow."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.locating.located import Located, Question, Vertebra, Witness
from cspine.locating.magnifying import magnified_located
from cspine.locating.measures import PITCHES_MM, measure, scale
from cspine.locating.weighing import count_odds, stored_probability, weigh
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap

HEIGHTS = {1: 12, 2: 25, 3: 18, 4: 15, 5: 14, 6: 15, 7: 15}
DEPTHS = {1: 36, 2: 40, 3: 36, 4: 36, 5: 38, 6: 46, 7: 50}
WIDTHS = {1: 50, 2: 44, 3: 44, 4: 46, 5: 48, 6: 48, 7: 48}


def neck(
    *,
    pitches: dict[int, float] | None = None,
    heights: dict[int, int] | None = None,
    levels: range = range(1, 8),
    thin_from: int = 8,
    size: float = 1.0,
) -> Located:
    """Returns vertebrae as boxes of body and arch, one below the other; from some level on no more than a strip along the canal."""
    steps = {int(level): usual for level, usual in PITCHES_MM.items()} | (pitches or {})
    tall = HEIGHTS | (heights or {})
    grid = Grid.upright((0, 0, 0), (190, 70, 70), (1.0, 1.0, 1.0))
    labels = np.zeros(grid.shape, np.uint8)
    found, middle = [], 160.0
    for level in levels:
        z = round(middle)
        low, high = z - tall[level] // 2, z - tall[level] // 2 + tall[level]
        depth, width = (DEPTHS[level], WIDTHS[level]) if level < thin_from else (18, 20)
        labels[low:high, 10 : 10 + depth, 35 - width // 2 : 35 - width // 2 + width] = level
        centre = grid.world((middle, 10 + depth / 2, 35.0))
        x, y, up = (float(part) for part in (centre[0], 0.0, centre[2]))
        found.append(Vertebra(Level(level), LevelStatus.ASSESSED, 0.98, (x, y, up), Box((0, 0, 0), (1, 1, 1)), (0, 0, 1)))
        middle -= steps.get(level, 17.0)
    made = Located(tuple(found), LabelMap(labels, grid), np.empty((0, 3)))
    return replace(magnified_located(made, size), magnification=1.0)


def names(located: Located) -> dict[str, str]:
    return {one.level.name: one.status.value for one in located.vertebrae}


def against(question: Question, log_ratio: float) -> Witness:
    return Witness("test", question, log_ratio, "Something is seen.")


def test_a_neck_whose_steps_are_those_of_vertebrae_keeps_its_names() -> None:
    found = weigh(neck(), [])

    assert set(names(found).values()) == {"assessed"}
    assert min(one.confidence for one in found.vertebrae) >= 0.9
    assert found.reasons == ()


def test_a_step_of_two_vertebrae_makes_all_names_below_it_uncertain() -> None:
    found = weigh(neck(pitches={4: 28.0}), [])

    assert names(found) == dict.fromkeys(("C1", "C2", "C3", "C4"), "assessed") | dict.fromkeys(("C5", "C6", "C7"), "uncertain")
    assert [reason.code for reason in found.reasons] == ["count_doubtful"]
    assert found.reasons[0].text.startswith(
        "Names from C5 on may be wrong. C4 and C5 are 28 mm apart, where 16 mm is usual in a neck of this size"
    )


@pytest.mark.parametrize("pitch", [6.0, 36.0])
def test_an_atlas_at_no_atlas_distance_makes_every_name_uncertain(pitch: float) -> None:
    """A clivus may be named C1, for instance, and C1 with the dens C2."""
    found = weigh(neck(pitches={1: pitch}), [])

    assert set(names(found).values()) == {"uncertain"}
    assert found.reasons[0].text.startswith("Names from C1 on may be wrong.")


def test_a_level_that_was_not_found_within_the_count_makes_names_below_it_uncertain() -> None:
    whole = neck()
    found = weigh(replace(whole, vertebrae=tuple(one for one in whole.vertebrae if one.level is not Level.C4)), [])

    assert names(found)["C3"] == "assessed"
    assert {names(found)[name] for name in ("C5", "C6", "C7")} == {"uncertain"}


def test_a_strip_that_a_mask_leaves_of_the_spine_is_no_vertebra() -> None:
    found = weigh(neck(thin_from=6), [])

    assert names(found)["C5"] == "assessed"
    assert names(found)["C6"] == names(found)["C7"] == "uncertain"


def test_half_a_body_at_the_end_is_seen_in_part() -> None:
    found = weigh(neck(heights={5: 6}, levels=range(1, 6)), [])

    assert names(found)["C5"] == "partly_in_view"
    assert names(found)["C4"] == "assessed"


@pytest.mark.parametrize("question", list(Question))
def test_one_question_that_is_answered_no_makes_every_name_uncertain_whatever_others_say(question: Question) -> None:
    witnesses = [against(one, -6.0 if one is question else 6.0) for one in Question]

    found = weigh(neck(), witnesses)

    assert set(names(found).values()) == {"uncertain"}
    codes = {Question.REGION: "region_doubtful"}
    assert [reason.code for reason in found.reasons] == [codes.get(question, "orientation_doubtful")]
    assert "Something is seen." in found.reasons[0].text


def test_witnesses_to_one_question_add_up() -> None:
    assert stored_probability([against(Question.HEAD, -6.0), against(Question.HEAD, 6.0)]) == stored_probability([])
    assert stored_probability([against(Question.HEAD, -6.0), against(Question.FRONT, 6.0)]) < 0.1


@pytest.mark.parametrize(("size", "sure"), [(0.55, False), (0.75, False), (0.85, True), (1.0, True), (1.3, True), (1.45, False)])
def test_necks_much_smaller_or_larger_than_an_adults_are_uncertain(size: float, sure: bool) -> None:
    found = weigh(neck(size=size), [])

    assert scale(measure(found)) == pytest.approx(size, rel=0.06)
    assert set(names(found).values()) == {"assessed" if sure else "uncertain"}
    assert [reason.code for reason in found.reasons] == ([] if sure else ["size_doubtful"])


def test_a_neck_is_likelier_than_what_has_no_steps_of_vertebrae() -> None:
    limb = neck(pitches=dict.fromkeys(range(1, 7), 9.0) | {3: 40.0, 5: 30.0})

    assert count_odds(neck()) > 3
    assert count_odds(limb) < 0
    assert count_odds(replace(limb, vertebrae=())) == 0


def test_nothing_found_stays_nothing() -> None:
    nothing = replace(neck(), vertebrae=())

    assert weigh(nothing, [against(Question.HEAD, -6.0)]) is nothing


def test_all_seven_levels_have_a_size_that_is_measured() -> None:
    found = {one.level: one for one in measure(neck())}

    assert list(found) == list(CERVICAL)
    assert found[Level.C4].height_mm == pytest.approx(HEIGHTS[4], abs=2)
    assert found[Level.C4].depth_mm == pytest.approx(DEPTHS[4], abs=3)
    assert found[Level.C4].width_mm == pytest.approx(WIDTHS[4], abs=3)
    assert found[Level.C4].pitch_mm == pytest.approx(PITCHES_MM[Level.C4], abs=0.1)
    assert found[Level.C7].pitch_mm is None
