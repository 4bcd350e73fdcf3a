"""Single attributes of a DICOM header, read as they are written and without trusting them."""

import re
from collections.abc import Iterable
from typing import Any, Protocol

from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from cspine.reading.frames import Acquisition

_DECIMALS = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "SliceThickness",
    "SpacingBetweenSlices",
    "KVP",
)
_WITH_COMMAS = re.compile(rb"[\s+-]*\d*,\d+([eE][+-]?\d+)?\s*\0?|[^,]*")
_MOST_CHARACTERS = 64
_PHASES = (
    "TemporalPositionIdentifier",
    "NominalPercentageOfCardiacPhase",
    "TriggerTime",
    "ContrastBolusAgent",
    "ContrastBolusStartTime",
)
_TEXTS = ("PN", "LO", "SH", "ST", "LT", "UC", "UT")
_WIDE = {"ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
"""Character sets in which not every byte is a letter, by their names in DICOM (PS3.3, C.12.1.1.2)."""

_TAGS = {
    keyword: tag_for_keyword(keyword) or 0
    for keyword in (
        *_DECIMALS,
        *_PHASES,
        *("AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "ContentDate", "ContentTime"),
        *("InstanceNumber", "SpecificCharacterSet"),
    )
}


class Attributes(Protocol):
    """Answers what a header says, by keyword or tag, as a data set of pydicom does."""

    def get(self, key: str, default: Any = None, /) -> Any:
        """Returns the value of an attribute, or the default where there is none."""
        ...

    def get_item(self, key: int, /) -> Any:
        """Returns an attribute as it is written, with its ``value``, or ``None`` where there is none."""
        ...

    def keys(self) -> Iterable[int]:
        """Returns the tags of all attributes."""
        ...

    def __contains__(self, name: str) -> bool: ...


def with_points(dataset: Dataset) -> bool:
    """Writes decimal commas of a header as points, in place; whether there were any.

    Software of a country that writes ``0,625`` exports it so; DICOM (PS3.5, 6.2, DS) does not allow it. Numbers with a comma and a
    point, or several commas, stay what they are.
    """
    found = False
    for keyword in _DECIMALS:
        raw = dataset.get_item(_TAGS[keyword])
        if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes) or b"," not in raw.value:
            continue
        if all(_WITH_COMMAS.fullmatch(part) for part in raw.value.split(b"\\")):
            dataset[raw.tag] = raw._replace(value=raw.value.replace(b",", b"."))
            found = True
    return found


def with_texts_as_claimed(dataset: Dataset) -> None:
    """Writes texts anew, in place, that are not in the character set which the header claims.

    Latin-1 under the name of UTF-8 is common. Read as it claims to be, a name or an identifier would lose its letters, and no
    archive would find its patient.
    """
    codec = _WIDE.get(written(dataset, "SpecificCharacterSet"))
    if codec is None:
        return
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes) or raw.value.isascii():
            continue
        if (raw.VR or (dictionary_VR(raw.tag) if dictionary_has_tag(raw.tag) else "")) in _TEXTS and not _is_in(raw.value, codec):
            text = raw.value.decode("latin-1").encode(codec)
            dataset[raw.tag] = raw._replace(value=text, length=len(text))


def _is_in(value: bytes, codec: str) -> bool:
    try:
        value.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def written(dataset: Attributes, keyword: str) -> str:
    """Returns a short text attribute as it is written; empty where there is none or where it is not text."""
    element = dataset.get_item(_TAGS[keyword])
    value = None if element is None else element.value
    if isinstance(value, bytes):
        return value[:_MOST_CHARACTERS].decode("latin-1").strip(" \0")
    return "" if value is None else str(value)[:_MOST_CHARACTERS].strip()


def acquisition_of(dataset: Attributes) -> Acquisition:
    """Returns how an image came about, as far as its header says; nothing in there is an error."""
    return Acquisition(
        number=written(dataset, "AcquisitionNumber"),
        time=_moment(dataset, "Acquisition"),
        content_time=_moment(dataset, "Content"),
        instance=_whole(written(dataset, "InstanceNumber")),
        phase="/".join(written(dataset, keyword) for keyword in _PHASES).strip("/"),
        voltage=written(dataset, "KVP"),
        thickness_mm=number_in([written(dataset, "SliceThickness")]),
    )


def number_in(texts: Iterable[object]) -> float | None:
    """Returns the first positive number among values, or ``None``."""
    for text in texts:
        try:
            number = float(str(text).replace(",", "."))
        except ValueError:
            continue
        if 0 < number < float("inf"):
            return number
    return None


def _moment(dataset: Attributes, stem: str) -> str:
    """Returns date and time of an act, in digits that sort by time."""
    together = written(dataset, "AcquisitionDateTime") if stem == "Acquisition" else ""
    return together or (time and written(dataset, f"{stem}Date") + time if (time := written(dataset, f"{stem}Time")) else "")


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def overlay_bits(dataset: Attributes) -> int:
    """Returns the bits of a pixel that overlays lie in (retired; group 60xx), as a mask."""
    bits = 0
    for group in {tag >> 16 for tag in dataset.keys() if tag >> 24 == 0x60}:  # noqa: SIM118 - a data set yields elements
        place, size = dataset.get_item(group << 16 | 0x0102), dataset.get_item(group << 16 | 0x0100)
        position = place.value if place is not None else None
        allocated = size.value if size is not None else None
        if isinstance(position, bytes) and isinstance(allocated, bytes) and int.from_bytes(allocated, "little") > 1:
            bits |= 1 << (int.from_bytes(position, "little") & 31)
    return bits
