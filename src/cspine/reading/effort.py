"""Limits what a header may cost, counted before anything parses it.

A file of a few megabytes can hold more than a million attributes, or one number of a million digits. The walk here visits each
attribute once without looking at its value, so that such a file is refused in less than a second.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.datadict import dictionary_VR

from cspine.reading import limits

_ITEMS = 0xFFFE
_PIXELS = 0x7FE0
_UNDEFINED = 0xFFFFFFFF
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST"} | {
    b"TM",
    b"UI",
    b"UL",
    b"US",
}
_BULK = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT"}
_ITEM_START = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


class CostlyError(Exception):
    """A header, or all headers of a study, would cost too much; the text is one line."""


def check_cost(data: bytes) -> None:
    """Walks over the attributes before the pixels, into sequences too.

    Args:
        data: A DICOM file, or its beginning; what cannot be understood ends the walk and is left to the parser.

    Raises:
        CostlyError: There are too many of them, or one that should be short is long.
    """
    order = "big" if b"1.2.840.10008.1.2.2\0" in data[:1024] else "little"
    at = 132 if data[128:132] == b"DICM" else 0
    for _ in range(limits.MAX_ATTRIBUTES):
        if at + 8 > len(data):
            return
        begin = "little" if data[at : at + 2] == b"\x02\x00" else order
        following = _following(data, at, begin == "big")
        if following is None:
            return
        at = following
    raise CostlyError(f"it has more than {limits.MAX_ATTRIBUTES} attributes")


def _following(data: bytes, at: int, big: bool) -> int | None:
    """Returns where the attribute or item after the one at ``at`` begins; ``None`` at the pixels."""
    order = "big" if big else "little"
    group, vr = int.from_bytes(data[at : at + 2], order), data[at + 4 : at + 6]  # type: ignore[arg-type]
    if group == _PIXELS:
        return None
    if group == _ITEMS:
        return at + 8
    if vr in _SHORT:
        return at + 8 + int.from_bytes(data[at + 6 : at + 8], order)  # type: ignore[arg-type]
    explicit = vr in _LONG
    value = at + (12 if explicit else 8)
    length = int.from_bytes(data[value - 4 : value], order)  # type: ignore[arg-type]
    if length == _UNDEFINED or vr == b"SQ" or data[value : value + 4] in _ITEM_START:
        return value
    if not explicit and length > limits.MAX_VALUE_BYTES:
        _check_value(group << 16 | int.from_bytes(data[at + 2 : at + 4], order), length)  # type: ignore[arg-type]
    return value + length


def _check_value(tag: int, length: int) -> None:
    try:
        vr = dictionary_VR(tag)
    except KeyError:  # a maker's own, which nobody asks for
        return
    if vr.split(" ")[-1] not in _BULK:
        raise CostlyError(f"an attribute that should be short has {length} bytes")


class Budget:
    """Processor time for the headers of one study, of one thread alone: a slow disk or a busy machine costs nothing."""

    def __init__(self, files: int) -> None:
        self._left_s = limits.HEADERS_S + files * limits.HEADER_S

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Counts the time of the block.

        Raises:
            CostlyError: Nothing is left.
        """
        if self._left_s < 0:
            raise CostlyError("the headers are far longer than those of a CT")
        begin = time.thread_time()
        try:
            yield
        finally:
            self._left_s -= time.thread_time() - begin
