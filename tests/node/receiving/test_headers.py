from pathlib import Path

import pytest
from pydicom.filereader import dcmread

from cspine.errors import StudyError
from cspine.node.receiving.headers import read_identity, read_series_header
from tests.node.nodes import CANARY, Series, write_series


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    return write_series(tmp_path_factory.mktemp("series") / "1", 1, BodyPartExamined="NECK", KVP="120", ConvolutionKernel="B60")


def test_an_image_says_which_it_is(series: Series) -> None:
    identity = read_identity(series.files[0])

    assert (identity.series_uid, identity.study_uid, identity.sop_uid) == ("1.2.3.1.1", "1.2.3.1", "1.2.3.1.1.1")
    assert identity.sop_class == "1.2.840.10008.5.1.4.1.1.2"


def test_an_image_says_whose_it_is_and_what_rules_ask_for(series: Series) -> None:
    header = read_series_header(series.files[0], {"BodyPartExamined", "KVP", "StudyDescription"})

    assert (header.patient.patient_name, header.patient.patient_id, header.patient.accession) == (CANARY, "PAT1", "ACC1")
    assert (header.scanner, header.kernel, header.study_uid) == ("Blocks One", "B60", "1.2.3.1")
    assert header.values == {"BodyPartExamined": "NECK", "KVP": "120", "StudyDescription": ""}
    assert CANARY not in repr(header)


def _altered(series: Series, tmp_path: Path, **attributes: object) -> Path:
    data = dcmread(series.files[0])
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    data.save_as(tmp_path / "altered.dcm")
    return tmp_path / "altered.dcm"


def test_text_that_a_database_or_a_line_cannot_hold_is_made_plain(series: Series, tmp_path: Path) -> None:
    path = _altered(series, tmp_path, PatientName="A\nB\0C" + "x" * 500, PatientID=["1", "2"])

    patient = read_series_header(path).patient

    assert patient.patient_name.startswith("A B C" + "x" * 100)
    assert len(patient.patient_name) == 200
    assert patient.patient_id == "1\\2"


@pytest.mark.parametrize("names", ["Käthe^Größe", "やまだ^太郎"])
def test_names_of_all_scripts_are_read(series: Series, tmp_path: Path, names: str) -> None:
    path = _altered(series, tmp_path, SpecificCharacterSet="ISO_IR 192", PatientName=names)

    assert read_series_header(path).patient.patient_name == names


@pytest.mark.parametrize("content", [b"", b"DICM", b"\0" * 132 + b"DICM" + b"\xff" * 64, b"%PDF-1.7" * 100])
def test_what_is_no_image_is_refused_without_its_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(StudyError, match=r"^A (DICOM|CT) image is needed\. ") as caught:
        read_identity(tmp_path / "file")
    assert "PDF" not in str(caught.value)
    assert read_series_header(tmp_path / "file").patient.patient_name == ""


def test_an_object_of_another_class_is_refused(series: Series, tmp_path: Path) -> None:
    path = _altered(series, tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.34")

    with pytest.raises(StudyError, match=r"^A CT image is needed\. This object is of another SOP Class\. Send CT series only\.$"):
        read_identity(path)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_an_image_without_a_uid_is_refused(series: Series, tmp_path: Path, keyword: str) -> None:
    with pytest.raises(StudyError, match=rf"^{keyword} needs 1 to 64 digits and dots\."):
        read_identity(_altered(series, tmp_path, **{keyword: ""}))
