"""Packages side by side, with networks that read blocks."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.packages import at_points, by_group, by_level, evaluated
from cspine.anatomy import CERVICAL, Level
from cspine.datasets import read_dataset
from cspine.detection import Detector
from cspine.evaluation import StudyScores
from cspine.evaluation.fractures import LevelTruth
from tests.training.coded_necks import neck
from tests.training.folders import write_data_set


def test_what_a_package_says_of_studies_is_kept_with_their_truth(
    coded_package: Path, coded_localiser: Path, tmp_path: Path
) -> None:
    data = write_data_set(tmp_path / "data", [neck(1, Level.C2, mask=False), neck(2, None, mask=False)])
    cases = read_dataset(data).cases

    found = evaluated(lambda: Detector(coded_package, localiser=coded_localiser), cases, tmp_path / "out")

    truth = {case.study_uid: case.fractured for case in cases}
    assert [tuple(row) for row in found.truth[:, 1:]] == [truth[uid] for uid in found.study_uids]
    assert found.truth[:, 0].sum() == 1
    broken = np.array([level is Level.C2 for level in CERVICAL])
    for row, is_broken in zip(found.scores, found.truth[:, 0], strict=True):
        np.testing.assert_array_equal(row[1:] > 0.5, broken & is_broken)
        assert (row[0] > 0.5) == is_broken
    balanced = next(at_points(str(coded_package), found))
    assert "balanced, levels from 0.5" in balanced
    assert "sensitivity 1.000" in balanced
    assert "specificity 1.000" in balanced
    rows = list(by_level({str(coded_package): found}))[2:]
    assert rows[1].startswith("| C2 | 1 | 1.000 (too few) | 1.000 (too few)")
    assert [row.split(" | ")[:2] for row in rows] == [[f"| {level.name}", str(int(level is Level.C2))] for level in CERVICAL]
    again = evaluated(lambda: pytest.fail("what was evaluated is evaluated again"), cases, tmp_path / "out")
    np.testing.assert_allclose(again.scores, found.scores)


def test_levels_are_counted_by_what_is_broken_in_them(coded_package: Path) -> None:
    kinds = {0: ("facet", 0.9, 2.0), 1: ("facet", 0.1, 0.2), 2: ("lamina", 0.5, 0.7)}
    truths = [
        LevelTruth(patient, 1, severity, kind, frozenset(), gap)
        for patient, (kind, severity, gap) in ((patient, kinds.get(patient, ("", None, None))) for patient in range(6))
    ]
    truth, scores = np.zeros((6, 8), bool), np.full((6, 8), 0.1)
    truth[:3, :2], scores[(0, 2), :2] = True, 0.9

    lines = list(by_group({str(coded_package): StudyScores(tuple("abcdef"), truth, scores)}, truths))

    cells = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:3] for line in lines[2:]}
    assert [cells["facet"], cells["lamina"]] == [["2", "0.500 (too few)"], ["1", "1.000 (too few)"]]
    assert [cells["severity 0.8 to 1"][1], cells["gap 0.2 to 0.3 mm"][1]] == ["1.000 (too few)", "0.000 (too few)"]
    assert cells["intact, without"] == ["3", "0.000 (too few)"]
