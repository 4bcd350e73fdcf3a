"""Attributes that decide geometry and values, in the value representation (VR) that the standard gives them and not in that stated.

A Rescale Intercept whose two bytes ``"0 "`` are stated to be of VR OL would else be read as the number 48, the code of the digit.
"""

import re

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag


class RepresentationError(ValueError):
    """A deciding attribute is of another VR than the standard gives it, and cannot be read as the standard says."""


def _tags(*keywords: str) -> dict[BaseTag, tuple[str, str]]:
    """Returns the keyword and VR of each tag."""
    tags = {keyword: Tag(tag_for_keyword(keyword) or 0) for keyword in keywords}
    return {tag: (keyword, dictionary_VR(tag)) for keyword, tag in tags.items()}


_TEXTS = _tags(
    *("RescaleSlope", "RescaleIntercept", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
    *("NumberOfFrames", "SliceThickness", "InstanceNumber"),
)
_SPARE = ("SliceThickness", "InstanceNumber")
_NUMBERS = _tags("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_PADDING = _tags("PixelPaddingValue", "PixelPaddingRangeLimit")
_SHORTS = _NUMBERS | _PADDING
_NUMBER = rb"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?"
_WRITTEN = re.compile(rb"\s*" + _NUMBER + rb"\s*(\\\s*" + _NUMBER + rb"\s*)*\0?")
_UNKNOWN = (None, "UN")
"""Implicit VR, and the VR of what a sender did not know: both are read as the dictionary says."""

_SEQUENCE = "SQ"
"""What states to be a sequence is parsed as one, and found to be damaged."""

_BYTES = 2


def standardised(dataset: Dataset) -> tuple[str, ...]:
    """Gives deciding attributes the VR of the standard, in place; the keywords of those that stated another one.

    Decimal text is distinguished from binary numbers by its digits. What decides nothing is dropped where it cannot be read.

    Raises:
        RepresentationError: One cannot be read so, or has not the length that a number of its VR has.
    """
    changed = [keyword for tag, (keyword, vr) in _TEXTS.items() if _is_changed_text(dataset, tag, keyword, vr)]
    changed += [keyword for tag, (keyword, _) in _SHORTS.items() if _is_changed_number(dataset, tag, keyword)]
    return tuple(changed)


def _is_changed_text(dataset: Dataset, tag: BaseTag, keyword: str, standard: str) -> bool:
    element = dataset.get_item(tag)
    stated = None if element is None else element.VR
    if element is None or not element.value or stated == _SEQUENCE:
        return False
    if stated == standard:
        _check_digits(element, keyword)
        return False
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes) and _WRITTEN.fullmatch(element.value):
        dataset[tag] = element._replace(VR=standard)
        return stated not in _UNKNOWN
    if keyword not in _SPARE:
        raise RepresentationError(f"{keyword} is stated to be {stated} instead of {standard}, and is not decimal text")
    del dataset[tag]
    return True


def _check_digits(element: object, keyword: str) -> None:
    """Checks that DICOM reads a text as a number; Python reads more: ``1_000`` would be a thousand."""
    if (
        isinstance(element, RawDataElement)
        and isinstance(element.value, bytes)
        and (b"_" in element.value or not element.value.isascii())
    ):
        raise RepresentationError(f"{keyword} holds other characters than digits")


def _is_changed_number(dataset: Dataset, tag: BaseTag, keyword: str) -> bool:
    element = dataset.get_item(tag)
    if element is None or not element.value:
        return False
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        raise RepresentationError(f"{keyword} is stated to be {element.VR} instead of US, and is not a number")
    if element.VR not in ("US", "SS", *_UNKNOWN):
        raise RepresentationError(f"{keyword} is stated to be {element.VR} instead of US")
    if len(element.value) != _BYTES:
        raise RepresentationError(f"{keyword} has {len(element.value)} bytes instead of {_BYTES}")
    if element.VR != "US":
        dataset[tag] = element._replace(VR="US")
    return element.VR == "SS" and tag in _NUMBERS
