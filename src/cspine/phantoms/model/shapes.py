"""Shapes as signed distances: what a bone is made of, wherever it is evaluated.

Points are arrays ``(3, ...)`` of x, y, z in millimetres, distances are negative inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Vector
from cspine.phantoms.meshes.anatomy import BoneShape

Points = NDArray[np.float32]
Field = NDArray[np.float32]


class ImplicitShape(Protocol):
    """A solid."""

    def distance(self, points: Points) -> Field:
        """Returns signed distance at ``(3, ...)`` points, mm."""
        ...

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the lowest and the highest corner of what is not far outside, ``(3,)`` each."""
        ...

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns how wide a voxel is across the nearest surface at ``(3, n)`` points, mm, ``(n,)``.

        Args:
            points: Middles of voxels.
            edges: A voxel's edges as columns, ``(3, 3)``.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A bone of an anatomy; see :class:`cspine.phantoms.meshes.anatomy.BoneShape`."""

    bone: BoneShape

    def distance(self, points: Points) -> Field:
        """Returns signed distance, cut off a few millimetres from the surface."""
        return self.bone.distance(points)

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the box in which the shape is stored."""
        corners = self.bone.corners_mm()
        return corners.min(axis=0), corners.max(axis=0)

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns the voxel's extent along the stored slope."""
        lattice = _widths(self.bone, edges.tobytes())
        shape = self.bone.steps.shape
        voxels = self.bone.voxels(points)
        index = [np.clip(np.rint(voxels[a]), 0, shape[a] - 1).astype(np.int32) for a in range(3)]
        flat = (index[0] * np.int32(shape[1]) + index[1]) * np.int32(shape[2]) + index[2]
        return np.asarray(lattice.ravel()[flat], dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """A shape in another frame.

    Attributes:
        shape: The shape in its own frame.
        frame: That frame in the new one, a rigid motion, ``(4, 4)``.
    """

    shape: ImplicitShape
    frame: NDArray[np.float64] = field(repr=False)

    def distance(self, points: Points) -> Field:
        """Returns signed distance."""
        return self.shape.distance(self._own(points))

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the box around the moved box."""
        low, high = self.shape.box_mm()
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(8, 3)
        moved = corners @ self.frame[:3, :3].T + self.frame[:3, 3]
        return moved.min(axis=0), moved.max(axis=0)

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns the width that the shape gives."""
        return self.shape.width(self._own(points), np.ascontiguousarray(self.frame[:3, :3].T @ edges, dtype=np.float32))

    def _own(self, points: Points) -> Points:
        back = self.frame[:3, :3].T.astype(np.float32)
        away = points - _column(tuple(self.frame[:3, 3])).reshape(3, *[1] * (points.ndim - 1))
        return np.asarray(np.tensordot(back, away, axes=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Capsule:
    """A rod with round ends: a rib, a clavicle, a styloid."""

    start_mm: Vector
    end_mm: Vector
    radius_mm: float

    def distance(self, points: Points) -> Field:
        """Returns signed distance."""
        start, axis = _column(self.start_mm), _column(self.end_mm) - _column(self.start_mm)
        x, y, z = (points[a] - start[a] for a in range(3))
        share = np.clip((axis[0] * x + axis[1] * y + axis[2] * z) / np.dot(axis, axis), 0, 1)
        x, y, z = x - axis[0] * share, y - axis[1] * share, z - axis[2] * share
        return np.asarray(np.sqrt(x * x + y * y + z * z) - np.float32(self.radius_mm), dtype=np.float32)

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the box around the rod."""
        ends = np.array([self.start_mm, self.end_mm])
        return ends.min(axis=0) - self.radius_mm - 2, ends.max(axis=0) + self.radius_mm + 2

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns one width for all directions."""
        return _mean_width(points, edges)


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """A solid ellipsoid; distances are approximate away from the surface."""

    centre_mm: Vector
    radii_mm: Vector

    def distance(self, points: Points) -> Field:
        """Returns signed distance to first order."""
        centre, shrink = _column(self.centre_mm), 1 / _column(self.radii_mm)
        x, y, z = ((points[a] - centre[a]) * shrink[a] for a in range(3))
        norm = np.sqrt(x * x + y * y + z * z)
        x, y, z = x * shrink[0], y * shrink[1], z * shrink[2]
        slope = np.sqrt(x * x + y * y + z * z)
        return np.asarray(norm * (norm - 1) / np.maximum(slope, 1e-6), dtype=np.float32)

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the box around it."""
        centre, radii = np.asarray(self.centre_mm), np.asarray(self.radii_mm)
        return centre - radii - 2, centre + radii + 2

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns one width for all directions."""
        return _mean_width(points, edges)


@dataclass(frozen=True, slots=True)
class Combined:
    """The union of some solids, less the union of others, with edges rounded where they meet.

    Attributes:
        solids: What is there.
        holes: What is taken away.
        above_mm: Nothing is below this height, if given.
    """

    solids: tuple[ImplicitShape, ...]
    holes: tuple[ImplicitShape, ...] = field(default=())
    above_mm: float | None = None

    def distance(self, points: Points) -> Field:
        """Returns signed distance, exact only near surfaces of one part."""
        out = self.solids[0].distance(points)
        for solid in self.solids[1:]:
            out = np.minimum(out, solid.distance(points))
        for hole in self.holes:
            out = np.maximum(out, -hole.distance(points))
        return out if self.above_mm is None else np.maximum(out, np.float32(self.above_mm) - points[2])

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the box around all solids."""
        lows, highs = zip(*(solid.box_mm() for solid in self.solids), strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns one width for all directions."""
        return _mean_width(points, edges)


def near_box(shape: ImplicitShape, points: Points, margin_mm: float) -> NDArray[np.intp]:
    """Returns which of ``(3, n)`` points lie in a shape's box or nearer to it than a margin."""
    low, high = shape.box_mm()
    near = np.arange(points.shape[1])
    for axis in (2, 1, 0):
        here = points[axis][near]
        near = near[(here > low[axis] - margin_mm) & (here < high[axis] + margin_mm)]
    return near


@lru_cache(maxsize=32)
def _widths(bone: BoneShape, edges: bytes) -> Field:
    """Returns the voxel's extent at a bone's lattice points, ``(z, y, x)``; ``edges`` are the bytes of its edges."""
    normals = _normals(bone)
    out = np.zeros(bone.steps.shape, np.float32)
    for edge in np.frombuffer(edges, np.float32).reshape(3, 3).T / np.float32(127):
        along = edge[0] * normals[0]
        along += edge[1] * normals[1]
        along += edge[2] * normals[2]
        out += np.abs(along)
    return out


@lru_cache(maxsize=64)
def _normals(bone: BoneShape) -> NDArray[np.int8]:
    """Returns directions away from a bone at its lattice points, ``(3, z, y, x)`` in units of 1/127, x first."""
    slopes = np.gradient(bone.steps.astype(np.float32))
    length = np.sqrt(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2)
    flat = length < 1e-3  # far away and on ridges: no direction, so all of them
    unit = [np.where(flat, np.float32(1 / np.sqrt(3)), slope / np.maximum(length, np.float32(1e-3))) for slope in slopes[::-1]]
    return np.round(np.stack(unit) * 127).astype(np.int8)


def _mean_width(points: Points, edges: NDArray[np.float32]) -> Field:
    """Returns the width of a voxel, averaged over all directions."""
    return np.full(points.shape[1:], 0.5 * float(np.linalg.norm(edges, axis=0).sum()), dtype=np.float32)


def _column(vector: Sequence[float]) -> NDArray[np.float32]:
    return np.asarray(vector, dtype=np.float32)
