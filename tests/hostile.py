"""Files that are small and would cost much, made in code."""

import struct
import zipfile
import zlib
from pathlib import Path

from cspine.reading import limits

_DEFLATED = b"1.2.840.10008.1.2.1.99"


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _meta(syntax: bytes = b"1.2.840.10008.1.2.1") -> bytes:
    body = _element(2, 0x10, b"UI", syntax + b"\0" * (len(syntax) % 2))
    return b"\0" * 128 + b"DICM" + _element(2, 0, b"UL", struct.pack("<I", len(body))) + body


_MODALITY = _element(8, 0x60, b"CS", b"CT")
_IMAGE = (
    _element(0x20, 0x0D, b"UI", b"1.2.3\0")
    + _element(0x28, 0x10, b"US", struct.pack("<H", 4))
    + _element(0x28, 0x11, b"US", struct.pack("<H", 4))
)


def empty_attributes(count: int) -> bytes:
    """Returns a DICOM file of empty attributes, eight bytes each."""
    parts = (struct.pack("<HH2sH", 0x0009 + 2 * (n // 0xF000), 0x1000 + n % 0xF000 & 0xFFFF, b"LO", 0) for n in range(count))
    return _meta() + _MODALITY + b"".join(parts) + _IMAGE


def attributes_in_a_sequence(count: int, *, defined: bool) -> bytes:
    """Returns the same attributes within one item of a sequence, of a length that is stated or not."""
    item = b"".join(struct.pack("<HH2sH", 0x0009, n & 0xFFFF, b"LO", 0) for n in range(count))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
    length = len(item) if defined else 0xFFFFFFFF
    end = b"" if defined else struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return _meta() + _MODALITY + struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, length) + item + end + _IMAGE


def long_number(size: int) -> bytes:
    """Returns a file in implicit VR, with a position of very many numbers."""
    return (
        _meta(b"1.2.840.10008.1.2")
        + struct.pack("<HHI", 8, 0x60, 2)
        + b"CT"
        + struct.pack("<HHI", 0x20, 0x32, size)
        + b"1\\" * (size // 2)
        + struct.pack("<HHI", 0x28, 0x10, 2)
        + b"\4\0"
    )


def inflating(megabytes: int) -> bytes:
    """Returns a deflated DICOM file that inflates a thousandfold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, megabytes << 20)
    parts = [packer.compress(_MODALITY + _IMAGE + pixels)]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return _meta(_DEFLATED) + b"".join([*parts, packer.flush()])


def zip_of(path: Path, member: bytes, count: int) -> Path:
    """Returns a zip of very many files that are the same."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            archive.writestr(f"{number}.dcm", member)
    return path


def sparse(path: Path, size: int = limits.MAX_FILE_BYTES + (1 << 20)) -> Path:
    """Returns a file that says it is large and takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
    return path
