"""Reads what a compressed image says about itself before anything is decoded, so that a lie costs no memory."""

from dataclasses import dataclass
from enum import StrEnum


class Codec(StrEnum):
    """Families of compression, distinguished by the first bytes and markers."""

    JPEG = "JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"


@dataclass(frozen=True, slots=True)
class Codestream:
    """The head of a compressed image.

    Attributes:
        codec: Which family.
        rows: Rows.
        columns: Columns.
        components: Values per pixel.
        bits: Bits of a value.
        signed: Whether values have a sign; only JPEG 2000 says so.
    """

    codec: Codec
    rows: int
    columns: int
    components: int
    bits: int
    signed: bool


_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_LS_FRAME = 0xF7
_STANDALONE = {0x01, *range(0xD0, 0xD9), 0xFF}


def head_of(data: bytes) -> Codestream | None:
    """Returns the head of a compressed image, or ``None`` where there is none."""
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    begin = 0 if data[:4] == b"\xff\x4f\xff\x51" else data.find(b"\xff\x4f\xff\x51", 0, 4096)
    if begin == 0 or (begin > 0 and data[4:8] == b"jP  "):
        return _jpeg_2000(data[begin : begin + 64])
    return None


def starts(data: bytes) -> bool:
    """Says whether bytes begin a compressed image, rather than go on with one."""
    return data[:3] == b"\xff\xd8\xff" or data[:4] == b"\xff\x4f\xff\x51" or data[4:8] == b"jP  "


def _jpeg(data: bytes) -> Codestream | None:
    at = 2
    while at + 10 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF:
            return None
        if marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _START_OF_FRAME or marker == _JPEG_LS_FRAME:
            codec = Codec.JPEG_LS if marker == _JPEG_LS_FRAME else Codec.JPEG
            rows, columns = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return Codestream(codec, rows, columns, data[at + 9], data[at + 4], signed=False)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _jpeg_2000(data: bytes) -> Codestream | None:
    """Reads the SIZ segment (ISO/IEC 15444-1, A.5.1), which comes first."""
    if len(data) < 45:
        return None
    right, bottom, left, top, tile_right, tile_bottom = (int.from_bytes(data[a : a + 4], "big") for a in range(8, 32, 4))
    components, depth = int.from_bytes(data[40:42], "big"), data[42]
    if tile_right == 0 or tile_bottom == 0:
        return None
    return Codestream(Codec.JPEG_2000, bottom - top, right - left, components, (depth & 0x7F) + 1, bool(depth & 0x80))
