"""From the scores of several TTA passes to what a result says."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.detection.classifiers import Classification
from cspine.detection.findings import assessments_of, what_to_mind
from cspine.modelpack import Calibration, OperatingPoint, OwnOverall, TrainingData
from cspine.results import Assessment, LevelFinding, LevelStatus
from tests.coded import coded_manifest

POINT = OperatingPoint("balanced", (0.5, *(0.4,) * 7))


def classification(scores: list[float], *passes: list[float]) -> Classification:
    return Classification(np.array(scores), np.array(passes).reshape(len(passes), 8), (None,) * 7)


def test_the_lowest_and_the_highest_view_stand_beside_a_probability() -> None:
    scores, one, other = ([p, *(0.1,) * 6, q] for p, q in ((0.5, 0.2), (0.4, 0.2), (0.6, 0.2)))

    overall, *_, c7 = assessments_of(classification(scores, one, other), OwnOverall.identity(), POINT)

    assert (overall.probability, overall.low, overall.high, overall.threshold) == (0.5, 0.4, 0.6, 0.5)
    assert not overall.sure
    assert (c7.probability, c7.low, c7.high, c7.threshold) == (0.2, 0.2, 0.2, 0.4)


def test_views_are_calibrated_as_the_scores_are() -> None:
    bent = OwnOverall((2.0,) * 8, (1.0,) * 8)
    scores, one, other = ([p] * 8 for p in (0.3, 0.2, 0.4))

    for said in assessments_of(classification(scores, one, other), bent, POINT):
        wanted = [round(float(bent.apply([p] * 8)[0]), 4) for p in (0.2, 0.3, 0.4)]
        assert [said.low, said.probability, said.high] == wanted


@pytest.mark.parametrize("passes", [(), ([0.3] * 8,)])
def test_a_single_pass_has_no_range(passes: tuple[list[float], ...]) -> None:
    said = assessments_of(classification([0.3] * 8, *passes), Calibration.identity(), POINT)

    assert {(one.low, one.high) for one in said} == {(None, None)}


def test_what_passes_do_not_agree_on_is_a_reason_to_mind() -> None:
    manifest = replace(coded_manifest(), training_data=TrainingData.PATIENTS)
    sure, unsure = Assessment(0.3, 0.5, 0.2, 0.4), Assessment(0.3, 0.5, 0.2, 0.6)
    levels = tuple(
        LevelFinding(level, LevelStatus.ASSESSED, unsure if level in (Level.C2, Level.C5) else sure) for level in CERVICAL
    )

    (reason,) = what_to_mind(manifest, unsure, levels)

    assert reason.code == "unsure"
    assert reason.text.endswith("above, in others below the threshold of C2, C5, any fracture.")
    assert what_to_mind(manifest, sure, tuple(replace(level, assessment=sure) for level in levels)) == ()
