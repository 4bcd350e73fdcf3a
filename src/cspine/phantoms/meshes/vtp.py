"""Polygons of a VTK XML file (vtp), in every form in which VTK writes one.

Arrays stand in the file as text, as base64, or appended at its end, base64 or raw; whole or in compressed blocks; in either order
of bytes.
"""

import base64
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import imagecodecs
import numpy as np
from numpy.typing import NDArray

_TYPES = {"Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4", "Int64": "i8", "UInt64": "u8"}
_TYPES |= {"Float32": "f4", "Float64": "f8"}
_ENDS = {"LittleEndian": "<", "BigEndian": ">"}
_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "vtkZLibDataCompressor": lambda block, size: zlib.decompressobj().decompress(block, size),
    "vtkLZMADataCompressor": lambda block, size: lzma.LZMADecompressor().decompress(block, size),
    "vtkLZ4DataCompressor": lambda block, size: bytes(imagecodecs.lz4_decode(block, out=size)),
}
_MOST_BYTES, _MOST_BLOCKS = 1 << 30, 1 << 20
"""What one array may hold, and in how many blocks; skulls in the finest meshes have a hundredth."""

_APPENDED = re.compile(rb"<AppendedData[^>]*>\s*_")

Polygon = list[int]


def read_vtp(path: Path) -> tuple[NDArray[np.float64], list[Polygon]]:
    """Returns points ``(n, 3)`` and polygons of all pieces of a file; strips come as triangles.

    Raises:
        ValueError: The file is damaged, or no surface; also ``KeyError``, ``zlib.error``, ``lzma.LZMAError`` and ``ParseError``.
    """
    arrays = _Arrays.of(path.read_bytes())
    points: list[NDArray[np.float64]] = []
    polygons: list[Polygon] = []
    for piece in arrays.root.iter("Piece"):
        corners = piece.find("Points/DataArray")
        if corners is None:
            continue
        start = sum(map(len, points))
        points.append(arrays.read(corners).astype(np.float64).reshape(-1, 3))
        polygons += [[index + start for index in polygon] for polygon in arrays.cells(piece.find("Polys"))]
        for strip in arrays.cells(piece.find("Strips")):
            # every other triangle of a strip runs the other way round
            turned = ((k, k + 1, k + 2) if k % 2 == 0 else (k + 1, k, k + 2) for k in range(len(strip) - 2))
            polygons += [[strip[index] + start for index in corner] for corner in turned]
    if not points or not polygons:
        raise ValueError("it has no points or no polygons")
    return np.concatenate(points), polygons


class _Stored(Protocol):
    """Bytes as they stand in the file."""

    def read(self, start: int, count: int) -> bytes:
        """Returns ``count`` bytes that were written at once, from place ``start``."""
        ...

    def after(self, start: int, count: int) -> int:
        """Returns the place after these."""
        ...


@dataclass(frozen=True, slots=True)
class _Raw:
    data: bytes

    def read(self, start: int, count: int) -> bytes:
        return self.data[start : start + count]

    def after(self, start: int, count: int) -> int:
        return start + count


@dataclass(frozen=True, slots=True)
class _Base64:
    text: bytes

    def read(self, start: int, count: int) -> bytes:
        return base64.b64decode(self.text[start : self.after(start, count)])[:count]

    def after(self, start: int, count: int) -> int:
        return start + 4 * -(-count // 3)


@dataclass(frozen=True, slots=True, eq=False)
class _Arrays:
    """Holds what is needed to read the arrays of a file.

    Attributes:
        root: Its elements.
        appended: What stands at its end.
        header: Number type of lengths.
        unpack: Opens a compressed block, given its size; ``None`` where nothing is compressed.
    """

    root: ElementTree.Element
    appended: _Stored
    header: np.dtype[np.unsignedinteger]
    unpack: Callable[[bytes, int], bytes] | None

    @classmethod
    def of(cls, data: bytes) -> "_Arrays":
        """Returns the arrays of a file; what is appended raw is no XML and is cut off first."""
        appended: _Stored = _Raw(b"")
        mark = _APPENDED.search(data)
        if mark is not None:
            tail = data[mark.end() :]
            appended = _Raw(tail) if b'"raw"' in mark[0] else _Base64(b"".join(tail.partition(b"<")[0].split()))
            data = data[: mark.start()] + b"</VTKFile>"
        root = ElementTree.fromstring(data)
        header = np.dtype(_ENDS[root.get("byte_order", "LittleEndian")] + _TYPES[root.get("header_type", "UInt32")])
        compressor = root.get("compressor")
        return cls(root, appended, header, None if not compressor else _UNPACK[compressor])

    def cells(self, element: ElementTree.Element | None) -> Iterator[Polygon]:
        """Yields the indices of each cell."""
        arrays = {} if element is None else {array.get("Name"): array for array in element.findall("DataArray")}
        if {"connectivity", "offsets"} <= arrays.keys():
            indices = self.read(arrays["connectivity"]).astype(np.int64)
            ends = self.read(arrays["offsets"]).astype(np.int64)
            for part in np.split(indices, ends[:-1]) if len(ends) else []:
                yield part.tolist()

    def read(self, array: ElementTree.Element) -> NDArray[np.generic]:
        """Returns the numbers of an array."""
        form = array.get("format", "ascii")
        text = (array.text or "").encode()
        if form == "ascii":
            return np.array(text.split(), dtype=np.float64)
        kind = np.dtype(_TYPES[array.get("type", "")]).newbyteorder(self.header.byteorder)
        if form == "appended":
            return np.frombuffer(self._bytes(self.appended, int(array.get("offset", "0"))), kind)
        return np.frombuffer(self._bytes(_Base64(b"".join(text.split())), 0), kind)

    def _bytes(self, stored: _Stored, start: int) -> bytes:
        size = self.header.itemsize
        first = int(np.frombuffer(stored.read(start, size), self.header)[0])
        if self.unpack is None:
            return stored.read(start, size + first)[size:]
        if first == 0:
            return b""
        if first > _MOST_BLOCKS:
            raise ValueError(f"an array of {first} blocks")
        length = size * (3 + first)
        _, whole, last, *packed = (int(n) for n in np.frombuffer(stored.read(start, length), self.header))
        sizes = [whole] * (first - 1) + [last or whole]
        if not 0 < sum(sizes) <= _MOST_BYTES or min(sizes) <= 0 or len(packed) != first:
            raise ValueError(f"an array of {first} blocks of {whole} bytes")
        blocks = stored.read(stored.after(start, length), sum(packed))
        pieces, at = [], 0
        for size, count in zip(sizes, packed, strict=True):
            pieces.append(self.unpack(blocks[at : at + count], size))
            at += count
        return b"".join(pieces)
