"""No value representation that a file states makes a number another one without a word."""

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from cspine.errors import StudyError
from cspine.reading import read_study
from cspine.study import Study
from tests.reading.scans import Scan, enhanced, save, setting

_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "UC", "UN", "UR", "UT")
_TEXTS = {
    "RescaleSlope": b"1 ",
    "RescaleIntercept": b"-1024 ",
    "PixelSpacing": b"0.5\\0.75",
    "ImageOrientationPatient": b"1\\0\\0\\0\\1\\0 ",
}
_NUMBERS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel")


def _element(tag: int, vr: str, value: bytes) -> bytes:
    length = b"\0\0" + struct.pack("<I", len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + value


def _restate(path: Path, keyword: str, vr: str, value: bytes | None = None) -> None:
    """Gives an attribute of an explicit little endian file another representation, and perhaps other bytes."""
    data, tag = path.read_bytes(), int(tag_for_keyword(keyword) or 0)
    begin = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + dictionary_VR(tag).encode()
    at = data.index(begin)
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    old = data[at + 8 : at + 8 + length]
    path.write_bytes(data[:at] + _element(tag, vr, old if value is None else value) + data[at + 8 + length :])


def _scan(folder: Path, keyword: str, vr: str, value: bytes | None = None) -> Study:
    for path in Scan().write(folder).iterdir():
        _restate(path, keyword, vr, value)
    return read_study(folder)


@pytest.mark.parametrize("vr", ["OL", "OB", "OW", "SH", "LO", "UT", "IS", "OD", "AT"])
@pytest.mark.parametrize("keyword", _TEXTS)
def test_decimal_text_of_any_representation_is_read_as_the_standard_says(tmp_path: Path, keyword: str, vr: str) -> None:
    study = _scan(tmp_path, keyword, vr, _TEXTS[keyword])

    assert np.array_equal(study.volume.hu, Scan().hu)
    assert study.volume.grid.agrees(Scan().grid())
    assert [(warning.code, keyword in warning.text) for warning in study.warnings] == [("wrong_representation", True)]


def test_an_intercept_of_nought_under_another_representation_adds_nothing(tmp_path: Path) -> None:
    def change(dataset: Dataset, index: int) -> None:
        dataset.RescaleIntercept = 0
        dataset.PixelData = Scan().hu[index].tobytes()

    for path in Scan(change=change).write(tmp_path).iterdir():
        _restate(path, "RescaleIntercept", "OL", b"0 ")

    assert np.array_equal(read_study(tmp_path).volume.hu, Scan().hu)


@pytest.mark.parametrize("vr", ["FD", "FL", "SL", "US", "OB"])
@pytest.mark.parametrize("keyword", _TEXTS)
def test_binary_numbers_where_decimal_text_is_due_are_refused(tmp_path: Path, keyword: str, vr: str) -> None:
    values = {"FD": struct.pack("<d", -1024.0), "FL": struct.pack("<f", 0.5), "SL": struct.pack("<i", -1024), "US": b"\x01\0"}

    with pytest.raises(StudyError, match=f"{keyword} is stated to be {vr} instead of DS, and is not decimal text") as raised:
        _scan(tmp_path, keyword, vr, values.get(vr, b"\0\xfc"))
    assert raised.value.code == "wrong_number"


@pytest.mark.parametrize("vr", ["IS", "DS", "LO", "UL", "SL", "OB", "OW", "FL", "AT"])
@pytest.mark.parametrize("keyword", _NUMBERS)
def test_anything_else_where_a_short_number_is_due_is_refused(tmp_path: Path, keyword: str, vr: str) -> None:
    value = b"1 " if vr in ("IS", "DS", "LO") else None

    with pytest.raises(StudyError, match=f"{keyword} is stated to be {vr} instead of US"):
        _scan(tmp_path, keyword, vr, value)


@pytest.mark.parametrize("keyword", ["Rows", "BitsStored", "PixelRepresentation"])
def test_a_short_number_of_another_length_is_refused(tmp_path: Path, keyword: str) -> None:
    with pytest.raises(StudyError, match=f"{keyword} has 4 bytes instead of 2"):
        _scan(tmp_path, keyword, "US", b"\x01\0\x01\0")


@pytest.mark.parametrize("keyword", _NUMBERS)
def test_a_short_number_with_a_sign_is_read_as_one_without(tmp_path: Path, keyword: str) -> None:
    study = _scan(tmp_path, keyword, "SS")

    assert np.array_equal(study.volume.hu, Scan().hu)
    assert [warning.code for warning in study.warnings] == ["wrong_representation"]


@pytest.mark.parametrize("keyword", [*_TEXTS, *_NUMBERS, "ImagePositionPatient"])
def test_what_a_sender_did_not_know_is_read_as_the_dictionary_says(tmp_path: Path, keyword: str) -> None:
    study = _scan(tmp_path, keyword, "UN")

    assert np.array_equal(study.volume.hu, Scan().hu)
    assert study.volume.grid.agrees(Scan().grid())
    assert study.warnings == ()


@pytest.mark.parametrize("value", [b"-1_024", "-١٠٢٤".encode(), b"-1024\\0"])
def test_what_only_python_takes_for_a_number_is_refused(tmp_path: Path, value: bytes) -> None:
    with pytest.raises(StudyError, match="does not hold numbers where DICOM needs them"):
        _scan(tmp_path, "RescaleIntercept", "DS", value + b" " * (len(value) % 2))


def test_a_representation_within_a_functional_group_is_not_trusted_either(tmp_path: Path) -> None:
    scan = Scan()
    path = tmp_path / "enhanced.dcm"
    save(enhanced(scan), path)
    tag = int(tag_for_keyword("RescaleIntercept") or 0)
    right = _element(tag, "DS", b"-1024.0 ")
    data = path.read_bytes()
    assert data.count(right) == len(scan.hu)
    path.write_bytes(data.replace(right, _element(tag, "SH", b"-1024.0 ")))

    study = read_study(path)

    assert np.array_equal(study.volume.hu, scan.hu)
    assert [warning.code for warning in study.warnings] == ["wrong_representation"]
    path.write_bytes(data.replace(right, _element(tag, "US", b"\0\xfc\0\0\0\0\0\0")))
    with pytest.raises(StudyError, match="RescaleIntercept is stated to be US instead of DS"):
        read_study(path)


@pytest.mark.parametrize("keyword", ["SliceThickness", "InstanceNumber"])
def test_what_decides_nothing_is_left_out_where_it_is_no_number(tmp_path: Path, keyword: str) -> None:
    for path in Scan(change=setting(SliceThickness=1, InstanceNumber=1)).write(tmp_path).iterdir():
        _restate(path, keyword, "FL", struct.pack("<f", 1.25))

    study = read_study(tmp_path)

    assert np.array_equal(study.volume.hu, Scan().hu)
    assert "wrong_representation" in [warning.code for warning in study.warnings]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_padding_is_air_whether_or_not_a_file_states_representations(tmp_path: Path, syntax: str) -> None:
    def change(dataset: Dataset, index: int) -> None:
        dataset.add_new("PixelPaddingValue", "SS", 24)  # as dense as -1000 HU
        dataset.add_new("PixelPaddingRangeLimit", "SS", 30)

    scan = Scan(syntax=syntax, change=change)
    scan.hu[:, -1, -3:] = -1000, -996, -994

    assert np.all(read_study(scan.write(tmp_path)).volume.hu[:, -1, -3:] == -1000)
