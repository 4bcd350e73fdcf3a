"""Reads headers that keep to the standard, as nearly all CT files do, at a small part of what pydicom takes.

What is read here is what pydicom reads. Anything out of the ordinary is left to pydicom, and so is every refusal.
"""

import re
import struct
from collections.abc import Callable, KeysView
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword

from cspine.reading.effort import LONG, SHORT

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
_FIRST, _OVERLAYS, _PIXELS, _PIXEL_DATA = 0x00040000, 0x60, 0x7FE00008, 0x7FE00010
_META, _UNDEFINED = b"\x02\0", 0xFFFFFFFF
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"

_IMPLICIT = "1.2.840.10008.1.2"
_LEFT_TO_PYDICOM = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
"""Deflated and big endian."""

_explicit_head, _implicit_head, _length = (
    struct.Struct("<HH2sH").unpack_from,
    struct.Struct("<HHL").unpack_from,
    struct.Struct("<L").unpack_from,
)


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
    except (struct.error, RecursionError) as error:
        raise NotWellFormedError from error


def _header(start: bytes) -> WellFormedHeader:
    at, stated = 132, b""
    while start[at : at + 2] == _META:
        tag, _, begin, length = _head(start, at, implicit=False)
        at = begin + length
        if tag == _TRANSFER_SYNTAX:
            stated = start[begin:at]
    if start[128:132] != b"DICM" or not _is_uid(stated):
        raise NotWellFormedError
    syntax = stated.decode("ascii").rstrip("\0")
    implicit, first = syntax == _IMPLICIT, start[at + 4 : at + 6]
    if syntax in _LEFT_TO_PYDICOM or (implicit and first.isalpha() and first.isupper()):
        raise NotWellFormedError
    values, last = {}, _FIRST
    while True:
        tag, vr, begin, length = _head(start, at, implicit)
        if tag >= _PIXELS:
            break
        at = begin + length if length != _UNDEFINED else _end_of_sequence(start, vr, begin)
        if tag <= last or tag >> 24 == _OVERLAYS:
            raise NotWellFormedError
        last = tag
        if tag in _FORMS:
            values[tag] = start[begin:at]
            standard, form = _FORMS[tag]
            if vr not in standard or not form(values[tag]):
                raise NotWellFormedError
    if tag != _PIXEL_DATA or vr not in (b"", b"OB", b"OW") or not _is_known(values.get(_CHARACTER_SET, b"")):
        raise NotWellFormedError
    return WellFormedHeader(values, syntax, begin, None if length == _UNDEFINED else length)


def _is_known(character_sets: bytes) -> bool:
    """Says whether these have the letters of ASCII where ASCII has them."""
    return all(name in python_encoding for name in character_sets.decode("ascii").rstrip(" ").split("\\"))


def _head(data: bytes, at: int, implicit: bool) -> tuple[int, bytes, int, int]:
    """Returns the tag and the representation of an attribute, where its value begins, and the bytes of that."""
    if implicit:
        group, number, length = _implicit_head(data, at)
        return group << 16 | number, b"", at + 8, length
    group, number, vr, length = _explicit_head(data, at)
    if vr in LONG:
        return group << 16 | number, vr, at + 12, _length(data, at + 8)[0]
    if vr not in SHORT:
        raise NotWellFormedError
    return group << 16 | number, vr, at + 8, length


def _end_of_sequence(data: bytes, vr: bytes, at: int) -> int:
    """Returns where a sequence of undefined length ends, all its attributes read."""
    if vr != b"SQ":
        raise NotWellFormedError
    while data[at : at + 8] != _END_OF_SEQUENCE:
        if data[at : at + 4] != _ITEM:
            raise NotWellFormedError
        at = _end_of_item(data, at + 8, _length(data, at + 4)[0])
    return at + 8


def _end_of_item(data: bytes, at: int, length: int) -> int:
    end = at + length
    while at < end:
        if length == _UNDEFINED and data[at : at + 8] == _END_OF_ITEM:
            return at + 8
        _, vr, begin, size = _head(data, at, implicit=False)
        at = begin + size if size != _UNDEFINED else _end_of_sequence(data, vr, begin)
    if at > end:
        raise NotWellFormedError
    return at


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
_FORMS = {tag: (dictionary_VR(tag).encode(), _HOW.get(dictionary_VR(tag), (_PRINTABLE, _text))[0]) for tag in _TAGS.values()}
