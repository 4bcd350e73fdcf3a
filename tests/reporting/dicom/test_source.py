"""Objects copy some attributes of a scan, complete others, and say when nothing can be cited."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cspine.errors import StudyError
from cspine.reading import read_study
from cspine.reading.origin import read_header
from cspine.reading.quiet import quiet
from cspine.reporting import Written, write_result
from cspine.study import Origin, Study
from tests.coded import coded_volume, write_nifti
from tests.reading.scans import Change, Scan, body, lacking, setting
from tests.reporting.dicom.archived import PATIENT, Archived, objects_of, prediction_of, rejected

Make = Callable[[str], Archived]
_OBJECTS = ("result_sr.dcm", "result_seg.dcm", "result_sc.dcm")
_OF_PATIENT_AND_STUDY = [
    keyword
    for keyword in PATIENT
    if keyword.startswith(("Patient", "Study", "Accession", "Referring")) and keyword != "PatientPosition"
]


def _small(folder: Path, change: Change) -> Path:
    scan = Scan(hu=body(12, 24, 24), spacing_mm=(4.0, 4.0), step_mm=6.0, series_uid="1.2.826.0.2", change=change)
    with quiet("pydicom"):  # which finds odd what these tests write on purpose
        return scan.write(folder)


@pytest.mark.parametrize("name", ["hospital", "enhanced", "zipped"])
def test_patient_and_study_are_those_of_the_scan(name: str, made: Make) -> None:
    archive = made(name)

    for file in _OBJECTS:
        data = dcmread(archive.folder / file)
        assert {keyword: str(data[keyword].value) for keyword in _OF_PATIENT_AND_STUDY} == {
            keyword: str(PATIENT[keyword]) for keyword in _OF_PATIENT_AND_STUDY
        }
        assert data.StudyInstanceUID == archive.study.study_uid
        assert data.SpecificCharacterSet == "ISO_IR 100"
    assert archive.written.notes == ()


def test_an_anonymised_scan_is_completed_and_that_is_said(made: Make) -> None:
    archive = made("anonymised")

    (note,) = archive.written.notes
    assert note.code == "completed"
    assert "FrameOfReferenceUID filled in; PatientName, PatientID" in note.text
    assert archive.written.files == (*_OBJECTS, "labels.nii.gz", "heat.nii.gz")
    objects = [dcmread(archive.folder / file) for file in _OBJECTS]
    assert all(data.PatientID in ("", None) and data.StudyDate in ("", None) for data in objects)


def test_attributes_that_no_standard_allows_are_passed_on_and_harm_nothing(tmp_path: Path) -> None:
    strange = setting(PatientID="x" * 70, PatientSex="MALE", PatientAge="70")
    path = _small(tmp_path / "scan", strange)

    archive = objects_of(path, tmp_path / "objects")

    with quiet("pydicom"):
        for file in _OBJECTS:
            data = dcmread(archive.folder / file)
            assert (data.PatientSex, data.PatientAge, data.PatientID) == ("MALE", "70", "x" * 70)


_ODD: dict[str, dict[str, object]] = {
    "an unknown character set": {"SpecificCharacterSet": "ISO_IR 999", "PatientName": "Vera"},
    "Japanese": {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"},
    "UTF-8": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "\u0412\u0435\u0440\u0430^\u0416"},
    "dates that are none": {"StudyDate": "2020.02.29", "StudyTime": "25:61", "PatientBirthDate": "19500000"},
    "a time zone that is none": {"TimezoneOffsetFromUTC": "+9999"},
    "words that are too long": {"StudyDescription": "d" * 200, "StudyID": "s" * 40, "AccessionNumber": "a" * 40},
}


@pytest.mark.parametrize("odd", _ODD)
def test_odd_attributes_pass_unchanged(odd: str, tmp_path: Path) -> None:
    path = _small(tmp_path / "scan", setting(**PATIENT | _ODD[odd]))
    study = read_study(path)

    write_result(prediction_of(study), study, tmp_path, ("sr",))

    with quiet("pydicom"):
        source, data = dcmread(next(path.iterdir())), dcmread(tmp_path / "result_sr.dcm")
        assert [data.get(keyword) for keyword in _ODD[odd]] == [source.get(keyword) for keyword in _ODD[odd]]


def test_latin_letters_under_the_name_of_utf_8_keep_patient_and_identifiers(tmp_path: Path) -> None:
    texts = {"PatientName": "M##ller^J", "PatientID": "##77", "AccessionNumber": "##", "StudyDescription": "Wirbels##ule"}
    path = _small(tmp_path / "scan", setting(**PATIENT | texts | {"SpecificCharacterSet": "ISO_IR 192"}))
    for image in path.iterdir():
        image.write_bytes(image.read_bytes().replace(b"##", b"\xfc\xe4"))

    archive = objects_of(path, tmp_path / "objects")

    for file in _OBJECTS:
        data = dcmread(archive.folder / file)
        assert data.SpecificCharacterSet == "ISO_IR 192"
        assert {keyword: str(data[keyword].value) for keyword in texts} == {
            keyword: text.replace("##", "\u00fc\u00e4") for keyword, text in texts.items()
        }


def test_a_method_of_deidentification_that_is_not_stated_is_called_so(tmp_path: Path) -> None:
    change = setting(**PATIENT | {"PatientIdentityRemoved": "YES", "DeidentificationMethod": ""})
    study = read_study(_small(tmp_path / "scan", change))

    (note,) = write_result(prediction_of(study), study, tmp_path, ("sr",)).notes

    assert dcmread(tmp_path / "result_sr.dcm").DeidentificationMethod == "Not stated by the source"
    assert "DeidentificationMethod filled in" in note.text


def test_a_scan_without_study_and_series_uids_gets_derived_ones(tmp_path: Path) -> None:
    change = lacking("StudyInstanceUID", "SeriesInstanceUID", "Modality")

    archive = objects_of(_small(tmp_path / "scan", change), tmp_path / "objects")

    uids = {dcmread(archive.folder / file).StudyInstanceUID for file in _OBJECTS}
    assert len(uids) == 1
    assert uids.pop().startswith("2.25.")
    assert "StudyInstanceUID, SeriesInstanceUID, FrameOfReferenceUID filled in" in archive.written.notes[0].text


def _pair(dataset: Dataset, index: int) -> None:
    dataset.SOPInstanceUID = f"1.2.3.{index // 2}"


@pytest.mark.parametrize("change", [lacking("SOPInstanceUID"), setting(SOPInstanceUID="1.2.3"), _pair])
def test_images_without_instance_uids_of_their_own_cannot_be_cited(change: Change, tmp_path: Path) -> None:
    study = read_study(_small(tmp_path / "scan", change))
    assert [warning.code for warning in study.warnings] == ["not_citable"]

    written = write_result(prediction_of(study), study, tmp_path, ("sr", "seg", "sc", "nifti"))

    assert [note.code for note in written.notes] == ["not_citable"]
    assert written.files == ("labels.nii.gz", "heat.nii.gz")


def test_a_rejected_scan_whose_images_cannot_be_cited_has_one_reason_for_all_objects(tmp_path: Path) -> None:
    study = read_study(_small(tmp_path / "scan", setting(SOPInstanceUID="1.2.3")))

    written = write_result(rejected(prediction_of(study)), study, tmp_path, ("sr", "seg", "sc"))

    assert [note.code for note in written.notes] == ["not_citable"]
    assert written.files == ()


def test_a_nifti_scan_gets_no_dicom_objects_and_one_line_says_why(tmp_path: Path) -> None:
    study = read_study(write_nifti(coded_volume(), tmp_path / "neck.nii"))

    written = write_result(prediction_of(study), study, tmp_path, ("json", "sr", "seg", "sc"))

    assert written == Written(("result.json",), written.notes)
    assert [note.text for note in written.notes] == [
        "sr, seg and sc cite the images of a DICOM study. This scan is not one; give its DICOM files."
    ]


def test_files_that_vanish_before_the_report_are_an_error_of_one_line(tmp_path: Path) -> None:
    path = _small(tmp_path / "scan", setting(**PATIENT))
    study = read_study(path)
    for file in path.iterdir():
        file.unlink()

    with pytest.raises(StudyError, match=r"Nothing can be opened at .*\.dcm \(No such file or directory\)"):
        write_result(prediction_of(study), study, tmp_path, ("sr",))


def test_files_that_change_before_the_report_are_an_error_of_one_line(tmp_path: Path) -> None:
    path = _small(tmp_path / "scan", setting(**PATIENT))
    study = read_study(path)
    for file in path.iterdir():
        data = dcmread(file)
        data.SOPInstanceUID = "1.2.3.4.5"
        data.save_as(file)

    with pytest.raises(StudyError, match=r"\.dcm changed or vanished while it was read\."):
        write_result(prediction_of(study), study, tmp_path, ("sr",))


def test_no_patient_appears_in_nouns_notes_or_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _small(tmp_path / "scan", setting(**PATIENT | {"PatientName": "Verraten^Vera", "PatientSex": "Verraten"}))
    with caplog.at_level(logging.DEBUG):
        archive = objects_of(path, tmp_path / "objects")

    reported = " ".join([repr(archive.study), repr(archive.prediction), repr(archive.written), caplog.text])
    assert "Verraten" not in reported
    assert "4711" not in reported
    assert str(dcmread(archive.folder / "result_sr.dcm").PatientName) == "Verraten^Vera"


@pytest.mark.parametrize("name", ["hospital", "enhanced"])
def test_objects_that_are_written_together_share_one_reading_and_are_those_that_are_written_alone(
    name: str, made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, reads = made(name), list[Study]()
    (tmp_path / "together").mkdir()
    (tmp_path / "alone").mkdir()

    def counted(study: Study, origin: Origin) -> Dataset:
        reads.append(study)
        return read_header(study, origin)

    monkeypatch.setattr("cspine.reporting.dicom.source.read_header", counted)

    write_result(archive.prediction, archive.study, tmp_path / "together", ["sr", "seg", "sc"])
    assert len(reads) == 1
    for single in ("sr", "seg", "sc"):
        write_result(archive.prediction, archive.study, tmp_path / "alone", [single])

    assert len(reads) == 4
    for file in _OBJECTS:
        assert (tmp_path / "together" / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()
