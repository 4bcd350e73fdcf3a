"""The same input gives the same objects."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from cspine.evidence import Prediction
from cspine.reading import read_study
from cspine.reporting import write_result
from cspine.reporting.dicom.identity import moment_of
from cspine.results import StudyResult
from tests.reporting.dicom.archived import Archived

Make = Callable[[str], Archived]
_OBJECTS = ("result_sr.dcm", "result_seg.dcm", "result_sc.dcm")


def _uids(folder: Path) -> dict[str, tuple[str, str]]:
    objects = {name: dcmread(folder / name, stop_before_pixels=True) for name in _OBJECTS}
    return {name: (data.SeriesInstanceUID, data.SOPInstanceUID) for name, data in objects.items()}


def _written(archive: Archived, result: StudyResult, folder: Path) -> dict[str, tuple[str, str]]:
    folder.mkdir()
    write_result(Prediction(result, archive.prediction.evidence), archive.study, folder, ("sr", "seg", "sc"))
    return _uids(folder)


def test_the_same_result_of_the_same_files_gives_the_same_bytes(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")
    again = read_study(archive.path)

    write_result(archive.prediction, again, tmp_path, ("sr", "seg", "sc", "nifti"))

    for name in (*_OBJECTS, "labels.nii.gz", "heat.nii.gz"):
        assert (tmp_path / name).read_bytes() == (archive.folder / name).read_bytes(), name


def test_a_later_run_gives_the_same_uids_and_another_package_other_ones(made: Make, tmp_path: Path) -> None:
    archive = made("hospital")
    first, result = _uids(archive.folder), archive.prediction.result

    assert _written(archive, replace(result, created="2031-01-01T00:00:00+00:00"), tmp_path / "later") == first
    other = replace(result, model=replace(result.model, sha256="cd" * 32))
    for kind, uids in _written(archive, other, tmp_path / "other").items():
        assert not set(uids) & set(first[kind])


def test_every_object_has_a_series_of_its_own_and_all_uids_are_valid(made: Make) -> None:
    uids = [uid for pair in _uids(made("hospital").folder).values() for uid in pair]

    assert len(set(uids)) == 6
    assert all(UID(uid).is_valid and len(uid) <= 64 for uid in uids)


def test_dates_are_of_the_moment_of_prediction_in_the_time_zone_of_the_scan(made: Make) -> None:
    archive = made("hospital")

    for name in _OBJECTS:
        data = dcmread(archive.folder / name, stop_before_pixels=True)
        assert (data.SeriesDate, data.SeriesTime) == ("20240229", "190015")
        assert (data.InstanceCreationDate, data.InstanceCreationTime) == ("20240229", "190015")
        assert (data.ContentDate, data.ContentTime) == ("20240229", "190015")
        assert (data.StudyDate, data.TimezoneOffsetFromUTC) == ("20200229", "-0330")


@pytest.mark.parametrize(("offset", "hour"), [("+0545", 4), ("-0330", 19), ("+0000", 22)])
def test_a_time_zone_shifts_the_hour(offset: str, hour: int, made: Make) -> None:
    header = Dataset()
    header.TimezoneOffsetFromUTC = offset

    assert moment_of(made("hospital").prediction.result, header).hour == hour
