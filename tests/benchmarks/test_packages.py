"""Packages side by side, with networks that read blocks."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.packages import at_points, evaluated
from cspine.anatomy import CERVICAL, Level
from cspine.datasets import read_dataset
from cspine.detection import Detector
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
    again = evaluated(lambda: pytest.fail("what was evaluated is evaluated again"), cases, tmp_path / "out")
    np.testing.assert_allclose(again.scores, found.scores)
