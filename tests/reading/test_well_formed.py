"""Headers that keep to the standard are read without a data set of pydicom, and say the same; all others become one."""

import io
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset

from cspine.reading import headers, read_study
from cspine.reading.facts import DamagedFileError
from cspine.reading.headers import frames_of
from cspine.reading.places import FolderPlace
from cspine.reading.quiet import quiet
from cspine.reading.well_formed import NotWellFormedError, well_formed_header
from tests.reading.scans import JPEG_LOSSLESS, Scan, enhanced, save, setting

_EXPLICIT, _IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def _clinical(made: Dataset, index: int) -> None:
    """Adds what archives of clinics write: sequences of every kind of length, several values, times, private groups."""
    code = Dataset()
    code.CodeValue = "A"
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = "1.2.3"
    referenced.PurposeOfReferenceCodeSequence = [code]
    made.ReferencedImageSequence, made.SourceImageSequence = [referenced, referenced], [referenced]
    if made.file_meta.TransferSyntaxUID != _IMPLICIT:  # in implicit files only pydicom's dictionary knows a sequence
        made["ReferencedImageSequence"].is_undefined_length = True
        referenced["PurposeOfReferenceCodeSequence"].is_undefined_length = True
        referenced.is_undefined_length_sequence_item = index % 2 == 0
    made.SpecificCharacterSet, made.PatientName = ["", "ISO 2022 IR 87"], "A^B"
    made.SeriesDescription, made.StudyDescription, made.ProtocolName = "Neck  1.0 ", "child's C SPINE", ["A ", "B"]
    made.ImageType, made.ConvolutionKernel = ["DERIVED ", "PRIMARY", "AXIAL"], ["Br40d", "3"]
    made.KVP, made.SliceThickness, made.RescaleType = "120", "1.25", "HU"
    made.InstanceNumber, made.AcquisitionNumber, made.NumberOfFrames = index + 1, 7, 1
    made.AcquisitionDate, made.AcquisitionTime, made.ContentTime = "20200102", "101112.5", f"1011{index:02}"
    made.PixelPaddingValue, made.FrameOfReferenceUID, made.BodyPartExamined = -2000, "1.2.3.9", ""
    made.private_block(0x0019, "MAKER", create=True).add_new(1, "LO", "\x80")


def _never(*_: object, **__: object) -> None:
    raise AssertionError("a data set was made")


@pytest.mark.parametrize("syntax", [_EXPLICIT, _IMPLICIT, JPEG_LOSSLESS])
@pytest.mark.parametrize("change", [None, _clinical])
def test_ordinary_headers_are_read_without_a_data_set_and_say_the_same(
    syntax: str, change: Callable[[Dataset, int], None] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = FolderPlace(Scan(syntax=syntax, change=change).write(tmp_path))
    by_pydicom = [headers._frames_of(place, entry, place.read(entry)) for entry in place.entries]
    monkeypatch.setattr(headers, "read_partial", _never)

    assert [frames_of(place, entry) for entry in place.entries] == by_pydicom


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Returns files of every kind that is read without a data set."""
    folder = tmp_path_factory.mktemp("ordinary")
    for syntax in (_EXPLICIT, _IMPLICIT, JPEG_LOSSLESS):
        for name, change in (("plain", None), ("clinical", _clinical)):
            save(Scan(syntax=syntax, change=change).dataset(1), folder / f"{name} {syntax}")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@settings(derandomize=True, max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    which=st.integers(0, 5),
    kind=st.sampled_from(["another byte", "a byte less", "a byte more", "bytes from elsewhere"]),
)
def test_a_mutated_header_that_is_read_without_a_data_set_says_the_same(
    tmp_path: Path, ordinary: list[bytes], data: st.DataObject, which: int, kind: str
) -> None:
    changed = bytearray(ordinary[which])
    at, other = (data.draw(st.integers(132, min(len(changed) - 8, 1500))) for _ in range(2))
    byte = data.draw(st.sampled_from(b" \\0123456789.,+-eE_'\"AUSDLOQ\x00\x01\x08\x1b\x28\x60\x7f\xe0\xfe\xff"))
    if kind == "another byte":
        changed[at] = byte
    elif kind == "a byte less":
        del changed[at]
    elif kind == "a byte more":
        changed.insert(at, byte)
    else:
        changed[at : at + 8] = changed[other : other + 8]
    (tmp_path / "slice.dcm").write_bytes(changed)
    place = FolderPlace(tmp_path)
    (entry,) = place.entries
    try:
        found = headers._frames_of_well_formed(entry, bytes(changed))
    except (NotWellFormedError, DamagedFileError):
        return

    with quiet("pydicom"):
        assert found == headers._frames_of(place, entry, bytes(changed))


def _with(**values: object) -> bytes:
    """Returns an explicit file with other values."""
    return _file(Scan(change=setting(**values)).dataset(0))


def _file(made: Dataset) -> bytes:
    file = io.BytesIO()
    made.save_as(file, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return file.getvalue()


def _nested(depth: int) -> bytes:
    """Returns a file with sequences within sequences, all of undefined length."""
    begin, end = (
        b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff",
        b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0",
    )
    whole, mark = _with(), b"\x20\0\x0d\0UI"
    return whole.replace(mark, begin * depth + end * depth + mark)


@pytest.mark.parametrize(
    "data",
    [
        _with()[132:],
        _with().replace(b"-20.000000", b"-20,000000"),
        _with().replace(b"-20.000000", b"-20.00000O"),
        _with().replace(b"\x28\0\x10\0US\x02\0", b"\x28\0\x10\0SS\x02\0"),
        _with().replace(b"\x28\0\x10\0US\x02\0\x0c\0", b"\x28\0\x10\0UL\x04\0\x0c\0\0\0"),
        _with().replace(b"\x28\0\x10\0US\x02\0", b"\x08\0\x10\0US\x02\0"),
        _with(SpecificCharacterSet="ISO_IR 100").replace(b"ISO_IR 100", b"ISO_IR 999"),
        _with(SeriesDescription="\xe4", SpecificCharacterSet="ISO_IR 100"),
        _with(SeriesDescription=["a'", "b"]),
        _with(InstanceNumber="1" * 12).replace(b"1" * 12, b"12345678901x"),
        _with().replace(b"\xe0\x7f\x10\0OW", b"\xe0\x7f\x08\0OF"),
        _with().replace(b"\xe0\x7f\x10\0OW", b"\xe0\x7f\x10\0SQ"),
        _nested(3000),
        _file(enhanced(Scan())),
        b"",
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_a_data_set(data: bytes) -> None:
    with pytest.raises(NotWellFormedError):
        well_formed_header(data).get("SeriesDescription")


def test_sequences_within_sequences_are_passed_over() -> None:
    assert well_formed_header(_nested(3)).get("SeriesInstanceUID") == "1.2.3.4"


def test_a_refusal_is_what_pydicom_makes_of_a_header(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="PixelSpacing needs 2 finite numbers and has 3 values"):
        read_study(Scan(change=setting(PixelSpacing=[1, 1, 1])).write(tmp_path))


def test_all_character_sets_have_the_letters_of_ascii() -> None:
    letters = "".join(sorted(set(string.printable) - set(string.whitespace))) + " "

    assert {name for name, codec in python_encoding.items() if letters.encode("ascii").decode(codec) != letters} == set()
