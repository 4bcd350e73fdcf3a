"""Parts that an object holds hundreds of times, encoded at once: making a data set of each costs more than all else of an object.

pydicom writes a sequence that is encoded already as it is, where all data sets around it say that they have the encoding of the
file (``Dataset.set_original_encoding``); elsewhere it decodes it first, and the file is the same. All is explicit little endian.
"""

import struct
from collections.abc import MutableSequence
from functools import cache

from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from cspine.anatomy import Code
from cspine.reading.quiet import quiet

_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)


_TEXTS = frozenset({"CS", "DS", "IS", "LO", "SH", "UI"})
_NUMBERS = {"UL": "L", "US": "H"}


def encoded(element: DataElement) -> RawDataElement:
    """Returns a sequence of pydicom for :func:`hold`; it holds a few words and numbers.

    Raises:
        ValueError: It holds something else.
    """
    return held(element.keyword, *(item(*map(_encoded, entry)) for entry in element.value))


def _encoded(element: DataElement) -> bytes:
    if element.VR == "SQ":
        return sequence(element.keyword, encoded(element).value or b"")
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    if element.VR in _TEXTS:
        return text(element.keyword, "\\".join(map(str, values)))
    if element.VR in _NUMBERS:
        return _short(element.keyword, struct.pack(f"<{len(values)}{_NUMBERS[element.VR]}", *values))
    raise ValueError(f"Words and numbers can be encoded here. Received: {element.keyword}, {element.VR}")


def text(keyword: str, value: str) -> bytes:
    """Returns an element that holds text; several values have a backslash between them."""
    content = value.encode(default_encoding)
    return _short(keyword, content + (b"\0" if _tag(keyword)[1] == b"UI" else b" ") * (len(content) % 2))


def sequence(keyword: str, *items: bytes) -> bytes:
    """Returns a sequence of items as an element."""
    tag, kind = _tag(keyword)
    content = b"".join(items)
    return tag + kind + struct.pack("<HL", 0, len(content)) + content


def item(*elements: bytes) -> bytes:
    """Returns an item of a sequence; its elements are in the order of their tags."""
    content = b"".join(elements)
    return _ITEM + struct.pack("<L", len(content)) + content


def code_item(code: Code) -> bytes:
    """Returns a code as an item."""
    values = ("CodeValue", code.value), ("CodingSchemeDesignator", code.scheme), ("CodeMeaning", code.meaning)
    return item(*(text(keyword, value) for keyword, value in values))


def held(keyword: str, *items: bytes) -> RawDataElement:
    """Returns a sequence of items for :func:`hold`."""
    content = b"".join(items)
    return RawDataElement(Tag(keyword), "SQ", len(content), content, 0, is_implicit_VR=False, is_little_endian=True)


def hold(dataset: Dataset, *sequences: RawDataElement) -> None:
    """Puts encoded sequences into a data set, and says that it may be written with them, and with those within, as they are."""
    for one in sequences:
        dataset[one.tag] = one
    charset = dataset.get("SpecificCharacterSet")
    dataset.set_original_encoding(False, True, _encodings(charset) if charset else default_encoding)


def _encodings(charset: str | MutableSequence[str]) -> list[str]:
    with quiet("pydicom"):  # which says where it does not know one, and takes another
        return convert_encodings(charset)


def _short(keyword: str, content: bytes) -> bytes:
    """Returns an element of less than 64 KiB."""
    tag, kind = _tag(keyword)
    return tag + kind + struct.pack("<H", len(content)) + content


@cache
def _tag(keyword: str) -> tuple[bytes, bytes]:
    """Returns a tag and what kind of value it has."""
    tag = Tag(keyword)
    return struct.pack("<HH", tag.group, tag.element), dictionary_VR(tag).encode()
