"""Closed surfaces of bones, as modelling and imaging tools write them: obj, stl and vtp."""

import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cspine.errors import AnatomyError, one_line
from cspine.phantoms.meshes.vtp import read_vtp

_STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")])
_DAMAGES = (
    *(ValueError, LookupError, TypeError, ArithmeticError, MemoryError, RuntimeError, EOFError),
    *(struct.error, zlib.error, lzma.LZMAError, ElementTree.ParseError),
)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Triangles in space.

    Attributes:
        points: Corners, ``(n, 3)``.
        triangles: Three indices of corners each, counter-clockwise seen from outside, ``(m, 3)``.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.points)
        if len(self.triangles) == 0 or self.triangles.min() < 0 or self.triangles.max() >= count:
            raise AnatomyError(
                f"A surface needs triangles between its points. Received: {count} points, {len(self.triangles)} triangles."
            )
        if not np.all(np.isfinite(self.points)):
            raise AnatomyError("A surface needs finite coordinates. Received: infinite or missing ones.")

    @property
    def corners(self) -> NDArray[np.float64]:
        """Returns the corners of each triangle, ``(m, 3, 3)``."""
        corners: NDArray[np.float64] = self.points[self.triangles]
        return corners

    @property
    def volume(self) -> float:
        """Returns what the surface encloses, in cubic units; negative where it is turned inside out."""
        a, b, c = np.moveaxis(self.corners, 1, 0)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    def moved(self, matrix: NDArray[np.float64]) -> "Surface":
        """Returns the surface with points multiplied by ``matrix`` ``(3, 3)``, turned so that it encloses a positive volume."""
        moved = Surface(self.points @ matrix.T, self.triangles)
        return moved if moved.volume >= 0 else Surface(moved.points, self.triangles[:, ::-1])

    def refined(self, longest: float) -> "Surface":
        """Returns the same surface in triangles with edges up to ``longest``, by halving edges; neighbours may not match."""
        corners = self.corners
        done = []
        while len(corners):
            long = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1) > longest
            done.append(corners[~long])
            a, b, c = np.moveaxis(corners[long], 1, 0)
            ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
            parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
            corners = np.concatenate([np.stack(part, axis=1) for part in parts])
        pieces = np.concatenate(done).reshape(-1, 3)
        return Surface(pieces, np.arange(len(pieces)).reshape(-1, 3))


def read_surface(path: Path) -> Surface:
    """Returns the surface in a file.

    Args:
        path: An ``.obj``, a binary or text ``.stl``, or a ``.vtp`` of any form.

    Raises:
        AnatomyError: The file is missing, of another kind or damaged.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise AnatomyError(f"A surface must be one of {', '.join(_READERS)}. Received: {path.name}")
    if not path.is_file():
        raise AnatomyError(f"There is no surface {path}.")
    try:
        return reader(path)
    except AnatomyError as error:
        raise AnatomyError(f"{path.name}: {error}") from error
    except OSError as error:
        raise AnatomyError(f"The surface {path.name} cannot be read: {error.strerror}.") from error
    except _DAMAGES as error:
        raise AnatomyError(
            f"The surface {path.name} is damaged or in a form that cannot be read: {one_line(str(error))}"
        ) from error


def _read_obj(path: Path) -> Surface:
    points: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["v"]:
            points.append([float(word) for word in words[1:4]])
        elif words[:1] == ["f"]:
            numbers = [int(word.split("/")[0]) for word in words[1:]]
            triangles += _fan([number - 1 if number > 0 else len(points) + number for number in numbers])
    return _surface(points, triangles)


def _read_stl(path: Path) -> Surface:
    data = path.read_bytes()
    count = struct.unpack_from("<I", data, 80)[0] if len(data) >= 84 else -1
    if len(data) == 84 + count * _STL_FACET.itemsize:
        corners = np.frombuffer(data, _STL_FACET, count, 84)["corners"].reshape(-1, 3)
    else:
        words = [line.split() for line in data.decode("ascii", errors="replace").splitlines()]
        corners = np.array([[float(word) for word in line[1:4]] for line in words if line[:1] == ["vertex"]]).reshape(-1, 3)
    points, indices = np.unique(corners, axis=0, return_inverse=True)
    return _surface(points, np.asarray(indices).reshape(-1, 3))


def _read_vtp(path: Path) -> Surface:
    points, polygons = read_vtp(path)
    return _surface(points, [corner for polygon in polygons for corner in _fan(polygon)])


def _fan(polygon: list[int]) -> list[tuple[int, int, int]]:
    return [(polygon[0], polygon[k], polygon[k + 1]) for k in range(1, len(polygon) - 1)]


def _surface(points: object, triangles: object) -> Surface:
    return Surface(np.asarray(points, dtype=np.float64).reshape(-1, 3), np.asarray(triangles, dtype=np.int64).reshape(-1, 3))


_READERS: dict[str, Callable[[Path], Surface]] = {".obj": _read_obj, ".stl": _read_stl, ".vtp": _read_vtp}
