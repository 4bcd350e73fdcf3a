"""Parts that are encoded at once are those that pydicom encodes."""

from io import BytesIO

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from cspine.anatomy import Code
from cspine.reporting.dicom.encoded import code_item, encoded, held, hold, item, sequence, text


def _bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def _frame(number: int) -> Dataset:
    """Returns an item with values of odd and even length, several values, numbers, and items within."""
    frame, inner = Dataset(), Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.{number}"
    inner.SpatialLocationsPreserved, inner.ReferencedFrameNumber = "YES", number
    inner.ImagePositionPatient = ["-1.5", "0", str(number)]
    inner.CodeMeaning = "odd" * (number % 3)
    frame.SourceImageSequence = [inner]
    frame.DimensionIndexValues, frame.ReferencedSegmentNumber = [number, 70000], number
    frame.FrameContentSequence = []
    return frame


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_sequence_is_encoded_as_pydicom_does(count: int) -> None:
    plain, quick = Dataset(), Dataset()
    for dataset in (plain, quick):
        dataset.PatientID = "x"
        dataset.PerFrameFunctionalGroupsSequence = [_frame(number) for number in range(1, count + 1)]

    hold(quick, encoded(quick["PerFrameFunctionalGroupsSequence"]))

    assert isinstance(quick.get_item("PerFrameFunctionalGroupsSequence"), RawDataElement)
    assert _bytes(quick) == _bytes(plain)
    assert isinstance(quick.get_item("PerFrameFunctionalGroupsSequence"), RawDataElement), "it was decoded to be written"


def test_what_is_held_within_a_data_set_that_does_not_say_so_is_written_alike() -> None:
    inner, outer, plain = Dataset(), Dataset(), Dataset()
    plain.ReferencedSeriesSequence = [Dataset()]
    plain.ReferencedSeriesSequence[0].ReferencedInstanceSequence = [_frame(5)]
    hold(inner, encoded(plain.ReferencedSeriesSequence[0]["ReferencedInstanceSequence"]))

    outer.ReferencedSeriesSequence = [inner]

    assert _bytes(outer) == _bytes(plain)


def test_elements_by_keyword_are_those_of_pydicom() -> None:
    code, plain, made = Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "SCT", "One"
    plain.ConceptCodeSequence, plain.ReferencedSOPInstanceUID = [code], "1.2.3"
    one = code_item(Code("1", "SCT", "One"))

    hold(made, held("ConceptCodeSequence", one))

    assert text("ReferencedSOPInstanceUID", "1.2.3") + sequence("ConceptCodeSequence", one) == _bytes(plain)
    assert made.ConceptCodeSequence[0].CodeMeaning == "One"
    assert item() == b"\xfe\xff\x00\xe0\0\0\0\0"


@pytest.mark.parametrize("charset", [None, "ISO_IR 192", ["", "ISO 2022 IR 87"]])
def test_the_words_around_it_keep_their_character_set(charset: str | list[str] | None) -> None:
    made = Dataset()
    if charset is not None:
        made.SpecificCharacterSet = charset
    made.PatientName = "Vera" if charset is None else "\u5c71\u7530^\u592a\u90ce"
    hold(made, held("SourceImageSequence", item(text("ReferencedSOPInstanceUID", "1.2.3"))))

    made.ensure_file_meta()
    made.file_meta.TransferSyntaxUID, made.SOPClassUID, made.SOPInstanceUID = ExplicitVRLittleEndian, "1.2", "1.2.9"
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    read = dcmread(BytesIO(buffer.getvalue()))

    assert str(read.PatientName) == str(made.PatientName)
    assert read.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"


def test_what_is_neither_words_nor_numbers_is_refused() -> None:
    dataset = Dataset()
    dataset.SourceImageSequence = [Dataset()]
    dataset.SourceImageSequence[0].PatientName = "Doe"

    with pytest.raises(ValueError, match=r"Words and numbers can be encoded here\. Received: PatientName, PN"):
        encoded(dataset["SourceImageSequence"])
