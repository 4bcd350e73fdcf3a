"""Vertebrae built of boxes, and files of them."""

import base64
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.phantoms.meshes.surfaces import Surface

Order = Literal["<", ">"]
_FACES = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))


def box(low: ArrayLike, high: ArrayLike) -> Surface:
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    floor = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    points = np.array([(x, y, z) for z in (z0, z1) for x, y in floor])
    triangles = [(a, b, c) for p, q, r, s in _FACES for a, b, c in ((p, q, r), (p, r, s))]
    return Surface(points, np.array(triangles))


def together(*surfaces: Surface) -> Surface:
    starts = np.cumsum([0, *(len(s.points) for s in surfaces[:-1])])
    triangles = [s.triangles + start for s, start in zip(surfaces, starts, strict=True)]
    return Surface(np.concatenate([s.points for s in surfaces]), np.concatenate(triangles))


def vertebra(middle: ArrayLike = (0.0, 0.0, 0.0), tail_mm: float = 0.0) -> Surface:
    """Returns overlapping boxes: a body of 20 x 16 x 14 mm, a canal of 24 x 14 mm behind it, an arch and a spinous process.

    Args:
        middle: Of the body.
        tail_mm: How far the tip of the spinous process hangs lower.
    """
    shift = np.asarray(middle, float)

    def part(low: ArrayLike, high: ArrayLike) -> Surface:
        return box(np.asarray(low) + shift, np.asarray(high) + shift)

    return together(
        part((-10, -8, -7), (10, 8, 7)),
        part((-18, 2, -4), (-8, 6, 4)),
        part((8, 2, -4), (18, 6, 4)),
        part((-18, 4, -4), (-12, 26, 4)),
        part((12, 4, -4), (18, 26, 4)),
        part((-18, 22, -4), (18, 27, 4)),
        part((-3, 25, -4), (3, 45, 2)),
        part((-3, 41, -4 - tail_mm), (3, 45, 2 - tail_mm)),
    )


def write_obj(surface: Surface, path: Path) -> None:
    lines = [f"v {x} {y} {z}" for x, y, z in surface.points] + [f"f {a}//1 {b}//1 {c}//1" for a, b, c in surface.triangles + 1]
    path.write_text("\n".join(lines))


def write_stl(surface: Surface, path: Path) -> None:
    facets = b"".join(struct.pack("<12fH", 0, 0, 0, *corners.ravel(), 0) for corners in surface.corners)
    path.write_bytes(b"binary".ljust(80) + struct.pack("<I", len(surface.triangles)) + facets)


def write_stl_text(surface: Surface, path: Path) -> None:
    vertices = [f"facet\n{'outer loop'}\n" + "\n".join(f"vertex {x} {y} {z}" for x, y, z in c) for c in surface.corners]
    path.write_text("solid bone\n" + "\nendloop\nendfacet\n".join(vertices) + "\nendsolid")


def write_vtp(surface: Surface, path: Path, form: str = "ascii") -> None:
    """Writes a surface as VTK does; ``form`` is ascii, base64, or a compressor and where arrays stand.

    Forms of ``_COMPRESSORS`` may be followed by ``_appended`` or ``_raw``, and by ``_big`` for the other order of bytes.
    """
    first, *rest = form.split("_")
    big, appended, raw = "big" in rest, "appended" in rest, "raw" in rest
    order: Order = ">" if big else "<"
    pack = _COMPRESSORS.get(first)
    ends = np.arange(3, 3 * len(surface.triangles) + 1, 3)
    values = {"Points": surface.points.astype("f8"), "connectivity": surface.triangles.astype("i8"), "offsets": ends.astype("i8")}
    tail, elements = b"", {}
    for name, array in values.items():
        if form == "ascii":
            attributes, text = 'format="ascii"', " ".join(str(v) for v in array.ravel())
        elif appended or raw:
            attributes, text = f'format="appended" offset="{len(tail)}"', ""
            tail += _packed(array, order, pack, coded=not raw)
        else:
            attributes, text = 'format="binary"', _packed(array, order, pack, coded=True).decode()
        kind = "Float64" if name == "Points" else "Int64"
        child = '<InformationKey name="L2_NORM_RANGE"><Value index="0">17</Value></InformationKey>'
        elements[name] = f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="3" {attributes}>{text}\n{child}</DataArray>'
    named = f' compressor="{pack[0]}"' if pack else ""
    ending = f'<AppendedData encoding="{"raw" if raw else "base64"}">\n_'.encode() + tail + b"\n</AppendedData>" if tail else b""
    path.write_bytes(
        f'<VTKFile type="PolyData"{named} byte_order="{"Big" if big else "Little"}Endian" header_type="UInt32"><PolyData><Piece>'
        f"<Points>{elements['Points']}</Points><Polys>{elements['connectivity']}{elements['offsets']}</Polys></Piece></PolyData>".encode()
        + ending
        + b"</VTKFile>"
    )


_COMPRESSORS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "zlib": ("vtkZLibDataCompressor", zlib.compress),
    "lzma": ("vtkLZMADataCompressor", lzma.compress),
    "lz4": ("vtkLZ4DataCompressor", lambda block: bytes(imagecodecs.lz4_encode(block))),
}


def _packed(values: NDArray[np.generic], order: Order, pack: tuple[str, Callable[[bytes], bytes]] | None, *, coded: bool) -> bytes:
    """Lengths and bytes of an array, in two blocks where they are compressed."""
    code = base64.b64encode if coded else bytes
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    if pack is None:
        return code(struct.pack(order + "I", len(data)) + data)
    half = len(data) // 2 + 4
    blocks = [pack[1](data[:half]), pack[1](data[half:])]
    return code(struct.pack(order + "5I", 2, half, len(data) - half, *map(len, blocks))) + code(b"".join(blocks))
