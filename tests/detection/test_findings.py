"""Scores of several TTA passes become what a result says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cspine.anatomy import CERVICAL, Level
from cspine.detection.classifiers import Classification, Spot
from cspine.detection.findings import assessments_of, what_to_mind
from cspine.geometry import Grid
from cspine.locating import Located, Vertebra
from cspine.modelpack import Calibration, OperatingPoint, TrainingData
from cspine.results import Assessment, Box, LevelFinding, LevelStatus
from cspine.volume import LabelMap
from tests.coded import coded_manifest

POINT = OperatingPoint("balanced", (0.5,) * 8)


def classification(scores: list[float], *passes: list[float]) -> Classification:
    spot = Spot((0.0, 0.0, 0.0))
    return Classification(np.array(scores), np.array(passes).reshape(len(passes), 8), (spot,) * 7)


def located(*uncertain: Level) -> Located:
    """Returns all seven levels, some of whose names are uncertain."""
    grid = Grid.upright((0.0, 0.0, 0.0), (2, 2, 2), (1.0, 1.0, 1.0))
    box = Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    vertebrae = tuple(
        Vertebra(
            level, LevelStatus.UNCERTAIN if level in uncertain else LevelStatus.ASSESSED, 0.9, (0.0,) * 3, box, (0.0, 0.0, 1.0)
        )
        for level in CERVICAL
    )
    return Located(vertebrae, LabelMap(np.zeros(grid.shape, np.uint8), grid), np.zeros((2, 3)))


def test_the_lowest_and_the_highest_pass_stand_beside_a_probability() -> None:
    scores, one, other = ([0.0, *(0.1,) * 6, p] for p in (0.5, 0.4, 0.6))

    overall, c1, *_, c7 = assessments_of(located(), classification(scores, one, other), Calibration.identity(), POINT)

    for predicted in (overall, c7):
        assert (predicted.probability, predicted.low, predicted.high, predicted.threshold) == (0.5, 0.4, 0.6, 0.5)
        assert not predicted.sure
    assert (c1.probability, c1.low, c1.high, c1.threshold) == (0.1, 0.1, 0.1, 0.5)


def test_passes_are_calibrated_as_the_scores_are() -> None:
    bent = Calibration((2.0,) * 8, (1.0,) * 8)
    scores, one, other = ([p] * 8 for p in (0.3, 0.2, 0.4))

    predicted = assessments_of(located(), classification(scores, one, other), bent, POINT)

    for output, one_predicted in enumerate(predicted):
        wanted = [round(float(bent.apply([p] * 8)[output]), 4) for p in (0.2, 0.3, 0.4)]
        assert [one_predicted.low, one_predicted.probability, one_predicted.high] == wanted


def test_a_level_that_gets_no_probability_has_no_part_in_that_of_any_fracture() -> None:
    scores = [0.0, 0.9, *(0.1,) * 6]

    overall, *_ = assessments_of(located(Level.C1), classification(scores), Calibration.identity(), POINT)

    assert overall.probability == 0.1
    assert not overall.positive


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.floats(0.01, 0.99), st.floats(0.1, 3), st.floats(-4, 4))
@example([0.0] * 6 + [0.375], 0.375, 0.25, 0.0)
def test_a_study_is_flagged_exactly_when_a_level_is(levels: list[float], threshold: float, slope: float, intercept: float) -> None:
    calibration = Calibration((slope, *(1.0,) * 7), (intercept, *(0.0,) * 7))
    point = OperatingPoint("balanced", (float(calibration.any_fracture(threshold)), *(threshold,) * 7))

    overall, *each = assessments_of(located(), classification([0.0, *levels]), calibration, point)

    assert overall.positive == any(one.positive for one in each)


def test_a_level_that_is_flagged_although_it_is_less_probable_than_not_is_a_reason_to_mind() -> None:
    manifest = replace(coded_manifest(), training_data=TrainingData.PATIENTS)
    levels = tuple(
        LevelFinding(level, LevelStatus.ASSESSED, Assessment(0.12 if level is Level.C4 else 0.05, 0.1)) for level in CERVICAL
    )

    (reason,) = what_to_mind(manifest, Assessment(0.3, 0.2), levels)

    assert reason.code == "flagged_below_half"
    assert reason.text.startswith("C4 flagged although a fracture is less likely than not: levels are flagged from 10 % on")


@pytest.mark.parametrize(
    ("seen", "code", "text"),
    [
        (TrainingData.PHANTOMS, "trained_on_phantoms", "The model was trained on synthetic phantoms only."),
        (
            TrainingData.GRAFTS,
            "trained_on_grafts",
            "The model was trained on synthetic fractures only.",
        ),
    ],
)
def test_who_has_never_seen_a_real_fracture_says_so(seen: TrainingData, code: str, text: str) -> None:
    levels = tuple(LevelFinding(level, LevelStatus.ASSESSED, Assessment(0.05, 0.1)) for level in CERVICAL)

    (reason,) = what_to_mind(replace(coded_manifest(), training_data=seen), Assessment(0.1, 0.2), levels)

    assert reason.code == code
    assert reason.text == f"{text} What it says about a patient is unproven."


@pytest.mark.parametrize("passes", [(), ([0.3] * 8,)])
def test_a_single_pass_has_no_range(passes: tuple[list[float], ...]) -> None:
    predicted = assessments_of(located(), classification([0.3] * 8, *passes), Calibration.identity(), POINT)

    assert {(one.low, one.high) for one in predicted} == {(None, None)}


def test_what_passes_do_not_agree_on_is_a_reason_to_mind() -> None:
    manifest = replace(coded_manifest(), training_data=TrainingData.PATIENTS)
    sure, unsure = Assessment(0.3, 0.5, 0.2, 0.4), Assessment(0.3, 0.5, 0.2, 0.6)
    levels = tuple(
        LevelFinding(level, LevelStatus.ASSESSED, unsure if level in (Level.C2, Level.C5) else sure) for level in CERVICAL
    )

    (reason,) = what_to_mind(manifest, unsure, levels)

    assert reason.code == "unsure"
    assert reason.text.endswith("on both sides of the threshold of C2, C5, any fracture.")
    assert what_to_mind(manifest, sure, tuple(replace(level, assessment=sure) for level in levels)) == ()
