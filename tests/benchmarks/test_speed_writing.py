"""Writing is timed format by format, each state of cspine in a process of its own."""

from pathlib import Path

import pytest

pytest.importorskip("pydicom")

from benchmarks.speed.writing import rounds
from cspine.reading import read_study
from tests.coded import coded_volume, write_nifti
from tests.reporting.dicom.archived import prediction_of

_SOURCE = Path(__file__).parents[2] / "src"


def test_each_state_writes_each_format_as_often_as_it_is_told(tmp_path: Path) -> None:
    study = read_study(write_nifti(coded_volume(), tmp_path / "neck.nii"))

    found = rounds(prediction_of(study), study, {"before": _SOURCE, "now": _SOURCE}, 2, ("json", "nifti"))

    assert list(found) == ["before", "now"]
    for own in found.values():
        assert [list(one) for one in own] == [["all", "clock", "json", "nifti"]] * 2
        assert all(seconds >= 0 for one in own for seconds in one.values())
        assert all(one["clock"] > 0 for one in own)
