"""Reads headers that keep to the standard, as nearly all CT files do, without a pydicom data set, which takes far longer.

pydicom parts the bytes into attributes; only the values that reading asks for are converted, as pydicom converts them. Anything out
of the ordinary is left to a data set, and so is every refusal.
"""

import io
import re
from collections.abc import Callable, KeysView
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import data_element_generator

_KEYWORDS = (
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("Modality", "StudyDescription", "SeriesDescription", "BodyPartExamined", "ProtocolName", "FrameOfReferenceUID"),
    *("ConvolutionKernel", "KVP", "SliceThickness", "SpacingBetweenSlices", "MonoenergeticEnergyEquivalent"),
    *("AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "ContentDate", "ContentTime"),
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "NominalPercentageOfCardiacPhase", "TriggerTime"),
    *("ContrastBolusAgent", "ContrastBolusStartTime", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept"),
    *("RescaleSlope", "RescaleType", "ModalityLUTSequence", "PerFrameFunctionalGroupsSequence"),
)
"""What reading asks for."""

_TRANSFER_SYNTAX, _CHARACTER_SET = 0x00020010, 0x00080005
_META, _FIRST, _OVERLAYS, _PIXELS, _PIXEL_DATA = 0x0002, 0x00040000, 0x60, 0x7FE0, 0x7FE00010
_UNDEFINED = 0xFFFFFFFF

_IMPLICIT = "1.2.840.10008.1.2"
_OTHERS = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
"""Deflated and big endian."""


class NotWellFormedError(Exception):
    """A header is out of the ordinary."""


class Element(NamedTuple):
    """An attribute as it is written.

    Attributes:
        value: Its bytes.
    """

    value: bytes


@dataclass(frozen=True, slots=True)
class WellFormedHeader:
    """Holds what reading asks a header for; :class:`cspine.reading.attributes.Attributes`.

    Attributes:
        values: Bytes of attributes, by tag.
        transfer_syntax: UID.
        offset: First byte of the value of Pixel Data.
        length: Bytes of the value; ``None`` where it is a sequence of compressed fragments.
    """

    values: dict[int, bytes] = field(repr=False)
    transfer_syntax: str
    offset: int
    length: int | None

    def get(self, keyword: str, default: Any = None, /) -> Any:
        """Returns the value of an attribute; decimal numbers are still text.

        Raises:
            NotWellFormedError: Its characters are out of the ordinary.
        """
        tag, converted = _ASKED[keyword]
        value = self.values.get(tag)
        return default if value is None else converted(value)

    def get_item(self, tag: int, /) -> Element | None:
        """Returns an attribute as it is written."""
        value = self.values.get(tag)
        return None if value is None else Element(value)

    def keys(self) -> KeysView[int]:
        """Returns the tags of the attributes."""
        return self.values.keys()

    def __contains__(self, keyword: str) -> bool:
        return _ASKED[keyword][0] in self.values


def well_formed_header(start: bytes) -> WellFormedHeader:
    """Returns the header of a DICOM file.

    Args:
        start: The first bytes of the file.

    Raises:
        NotWellFormedError: It is out of the ordinary, or does not end in these bytes.
    """
    try:
        return _header(start)
    # what is damaged raises nearly anything in pydicom: struct.error, RecursionError, NotImplementedError …
    except Exception as error:
        raise NotWellFormedError from error


def _header(start: bytes) -> WellFormedHeader:
    if start[128:132] != b"DICM":
        raise NotWellFormedError
    file = io.BytesIO(start)
    file.seek(132)
    syntax = _transfer_syntax(file)
    implicit, first = syntax == _IMPLICIT, start[file.tell() + 4 : file.tell() + 6]
    if syntax in _OTHERS or (implicit and first.isalpha() and first.isupper()):
        raise NotWellFormedError
    end: list[tuple[int, str | None, int, int]] = []

    def is_beyond(tag: int, vr: str | None, length: int) -> bool:
        if tag >> 16 < _PIXELS:
            return False
        end.append((tag, vr, file.tell(), length))
        return True

    values, last = {}, _FIRST
    for element in data_element_generator(file, implicit, is_little_endian=True, stop_when=is_beyond):
        tag = int(element.tag)
        if tag <= last or tag >> 24 == _OVERLAYS:
            raise NotWellFormedError
        last = tag
        if tag in _FORMS:
            values[tag] = _value(element)
    tag, vr, offset, length = end[0]
    if tag != _PIXEL_DATA or vr not in (None, "OB", "OW") or not _is_known(values.get(_CHARACTER_SET, b"")):
        raise NotWellFormedError
    return WellFormedHeader(values, syntax, offset, None if length == _UNDEFINED else length)


def _transfer_syntax(file: BinaryIO) -> str:
    """Returns the UID that the file meta information states, and leaves the file where the attributes of the image begin."""

    def is_beyond(tag: int, _vr: str | None, _length: int) -> bool:
        return tag >> 16 != _META

    meta = {int(one.tag): one.value for one in data_element_generator(file, False, is_little_endian=True, stop_when=is_beyond)}
    stated = meta[_TRANSFER_SYNTAX]
    if not _is_uid(stated):
        raise NotWellFormedError
    return str(stated.decode("ascii").rstrip("\0"))


def _value(element: RawDataElement | DataElement) -> bytes:
    """Returns the bytes of an attribute that looks as those of its representation do."""
    standard, form = _FORMS[int(element.tag)]
    if not isinstance(element, RawDataElement):
        raise NotWellFormedError
    value = element.value or b""
    if (element.VR or "") not in standard or not form(value):
        raise NotWellFormedError
    return value


def _is_known(character_sets: bytes) -> bool:
    """Says whether these have the letters of ASCII where ASCII has them."""
    return all(name in python_encoding for name in character_sets.decode("ascii").rstrip(" ").split("\\"))


def _text(value: bytes) -> str | list[str]:
    """Returns text of ASCII, or several."""
    text = value.decode("ascii").rstrip(" \0")
    if "\\" not in text:
        return text
    if "'" in text:  # which pydicom shows in another way
        raise NotWellFormedError
    return text.split("\\")


def _descriptions(value: bytes) -> str | list[str]:
    text = _text(value)
    return text if isinstance(text, str) else [part.rstrip(" ") for part in text]


def _decimals(value: bytes) -> str | list[str]:
    """Returns decimal numbers, still as text."""
    text = value.decode("ascii").rstrip(" \0")
    return text.split("\\") if text else text


def _number(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _full(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(pattern, re.DOTALL).fullmatch


_DECIMAL = rb" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *"
_is_uid = _full(rb"[0-9.]+\0?")
_PRINTABLE, _PAIR, _ANYTHING, _NOTHING = _full(rb"[ -~]*\0?"), _full(rb".."), _full(rb".*"), _full(rb"(?!)")
_DECIMALS, _WHOLE = _full(rb"(" + _DECIMAL + rb"(\\" + _DECIMAL + rb")*\0?)?"), _full(rb"( *[+-]?\d{1,12} *\0?)?")
_HOW: dict[str, tuple[Callable[[bytes], object], Callable[[bytes], Any]]] = {
    "DS": (_DECIMALS, _decimals),
    "IS": (_WHOLE, _text),
    "US": (_PAIR, _number),
    "US or SS": (_PAIR, _number),
    **dict.fromkeys(("LO", "SH"), (_PRINTABLE, _descriptions)),
    **dict.fromkeys(("FL", "UL"), (_ANYTHING, _text)),
    **dict.fromkeys(("FD", "SQ"), (_NOTHING, _text)),
}
"""What values of a representation look like, and what they become; all others are text."""

_TAGS = {keyword: tag_for_keyword(keyword) or 0 for keyword in _KEYWORDS}
_ASKED = {keyword: (tag, _HOW.get(dictionary_VR(tag), (_PRINTABLE, _text))[1]) for keyword, tag in _TAGS.items()}
_FORMS = {tag: (dictionary_VR(tag), _HOW.get(dictionary_VR(tag), (_PRINTABLE, _text))[0]) for tag in _TAGS.values()}
