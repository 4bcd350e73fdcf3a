"""Vertebrae built of boxes, and files of them."""

import base64
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.phantoms.surfaces import Surface

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


def vertebra(middle: ArrayLike = (0.0, 0.0, 0.0)) -> Surface:
    """Body 20 x 16 x 14 mm, canal 24 x 14 mm behind it, arch and spinous process: overlapping boxes."""
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
    ends = np.arange(3, 3 * len(surface.triangles) + 1, 3)
    arrays = (
        ("Points", '<DataArray type="Float64" NumberOfComponents="3" format="{}">{}</DataArray>', surface.points),
        ("Polys", '<DataArray type="Int64" Name="connectivity" format="{}">{}</DataArray>', surface.triangles),
        ("", '<DataArray type="Int64" Name="offsets" format="{}">{}</DataArray>', ends),
    )
    points, polygons, offsets = (text.format("ascii" if form == "ascii" else "binary", _packed(v, form)) for _, text, v in arrays)
    compressor = ' compressor="vtkZLibDataCompressor"' if form == "zlib" else ""
    path.write_text(
        f'<VTKFile type="PolyData"{compressor} header_type="UInt32"><PolyData><Piece><Points>{points}</Points>'
        f"<Polys>{polygons}{offsets}</Polys></Piece></PolyData></VTKFile>"
    )


def _packed(values: NDArray[np.generic], form: str) -> str:
    if form == "ascii":
        return " ".join(str(v) for v in values.ravel())
    data = np.ascontiguousarray(values).tobytes()
    if form == "base64":
        return base64.b64encode(struct.pack("<I", len(data)) + data).decode()
    half = len(data) // 2
    blocks = [zlib.compress(data[:half]), zlib.compress(data[half:])]
    header = struct.pack("<5I", 2, half, len(data) - half, *map(len, blocks))
    return base64.b64encode(header).decode() + base64.b64encode(b"".join(blocks)).decode()
