"""Describes where voxels lie in the patient.

World coordinates are DICOM LPS millimetres, written ``(x, y, z)``: x grows to the patient's left, y to the back, z to the head.
Arrays are ``(z, y, x)``; an index is a triple in array order.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.coordinates import Vector as Vector  # noqa: PLC0414  # a name of this module too
from cspine.errors import GeometryError

Shape = tuple[int, int, int]

_MAX_VOXELS = 1 << 33


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A box of voxels in the patient.

    Attributes:
        shape: Number of voxels, ``(z, y, x)``.
        affine: Index to world, ``(4, 4)``, read-only: ``world = affine @ (index_z, index_y, index_x, 1)``. Centres of voxels have
            whole indices. The first column is the step from one slice to the next.
        frame_of_reference_uid: The DICOM frame that the world belongs to, where one is known.
    """

    shape: Shape
    affine: NDArray[np.float64] = field(repr=False)
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.all(np.isfinite(affine)) or not np.array_equal(affine[3], (0, 0, 0, 1)):
            raise GeometryError(f"A grid needs a finite 4 x 4 affine with a last row of 0 0 0 1. Received: {affine.tolist()}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise GeometryError(f"The axes of a grid must span space. Received an affine of rank < 3: {affine.tolist()}")
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1 or np.prod(shape, dtype=np.float64) > _MAX_VOXELS:
            raise GeometryError(f"A grid needs three positive sizes, 2^33 voxels at most. Received: {self.shape}")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def upright(cls, centre_mm: ArrayLike, shape: Shape, spacing_mm: Vector) -> "Grid":
        """Returns axial slices from feet to head, rows to the back, columns to the left, around a world point.

        Args:
            centre_mm: World coordinates ``(x, y, z)`` of the middle of the box.
            shape: Number of voxels, ``(z, y, x)``.
            spacing_mm: Distance of voxel centres, ``(z, y, x)``.
        """
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[:, ::-1] * np.asarray(spacing_mm, dtype=np.float64)
        affine[:3, 3] = np.asarray(centre_mm, dtype=np.float64) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
        return cls(shape, affine)

    @property
    def spacing_mm(self) -> Vector:
        """Returns the length of one step along each array axis, ``(z, y, x)``."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def directions(self) -> NDArray[np.float64]:
        """Returns unit steps in the world, ``(3, 3)``; column ``a`` belongs to array axis ``a``."""
        directions: NDArray[np.float64] = self.affine[:3, :3] / np.asarray(self.spacing_mm)
        return directions

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """Returns the world coordinates of the middle of the box, ``(3,)``."""
        return self.world((np.asarray(self.shape) - 1) / 2)

    @property
    def extent_mm(self) -> Vector:
        """Returns the length of the box along each array axis, outer faces included, ``(z, y, x)``."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    def world(self, index: ArrayLike) -> NDArray[np.float64]:
        """Returns the world coordinates ``(..., 3)`` of indices ``(..., 3)``, which may be fractional."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index(self, world_mm: ArrayLike) -> NDArray[np.float64]:
        """Returns fractional indices ``(..., 3)`` of world coordinates ``(..., 3)``."""
        inverse = np.linalg.inv(self.affine[:3, :3])
        return (np.asarray(world_mm, dtype=np.float64) - self.affine[:3, 3]) @ inverse.T

    def contains(self, world_mm: ArrayLike) -> NDArray[np.bool_]:
        """Says whether world points ``(..., 3)`` lie in the box, outer faces included, ``(...)``."""
        index = self.index(world_mm)
        inside: NDArray[np.bool_] = np.all((index >= -0.5) & (index <= np.asarray(self.shape) - 0.5), axis=-1)
        return inside

    def corners_mm(self) -> NDArray[np.float64]:
        """Returns the world coordinates of the eight outer corners, ``(8, 3)``."""
        unit = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
        return self.world(unit * np.asarray(self.shape) - 0.5)

    def canonical(self) -> "Grid":
        """Returns the same voxels, axes reordered and flipped to run as nearly as can be to the head, the back and the left.

        No voxel moves, so sampling on it copies. An oblique grid stays oblique.
        """
        steps = self.affine[:3, :3]
        order = _nearest_axes(self.directions)
        matrix, first = steps[:, order].copy(), self.affine[:3, 3].copy()
        shape = (self.shape[order[0]], self.shape[order[1]], self.shape[order[2]])
        for axis, target in enumerate((2, 1, 0)):
            if matrix[target, axis] < 0:
                first = first + matrix[:, axis] * (shape[axis] - 1)
                matrix[:, axis] *= -1
        return replace(self, shape=shape, affine=_affine(matrix, first))

    def with_spacing(self, spacing_mm: Vector) -> "Grid":
        """Returns the same box, at least, with other voxels: its centre stays, its size is rounded up to whole voxels."""
        spacing = np.asarray(spacing_mm, dtype=np.float64)
        if spacing.shape != (3,) or not np.all(spacing > 0):
            raise GeometryError(f"Spacing needs three positive millimetres, (z, y, x). Received: {spacing_mm}")
        z, y, x = (int(np.ceil(round(e / s, 6))) for e, s in zip(self.extent_mm, spacing, strict=True))
        matrix = self.directions * spacing
        first = self.centre_mm - matrix @ ((np.asarray((z, y, x)) - 1) / 2)
        return replace(self, shape=(z, y, x), affine=_affine(matrix, first))

    def part(self, start: ArrayLike, shape: Shape) -> "Grid":
        """Returns the box of ``shape`` voxels that begins at index ``start``; it may reach outside this one."""
        matrix = self.affine[:3, :3]
        return replace(self, shape=shape, affine=_affine(matrix, self.world(start)))

    def agrees(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Says whether both have one shape and corners within ``tolerance_mm``; frames must not contradict each other."""
        frames = {self.frame_of_reference_uid, other.frame_of_reference_uid} - {None}
        if self.shape != other.shape or len(frames) > 1:
            return False
        return bool(np.max(np.abs(self.corners_mm() - other.corners_mm())) <= tolerance_mm)


def _affine(matrix: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = first
    return affine


def _nearest_axes(directions: NDArray[np.float64]) -> list[int]:
    """Returns which array axis runs nearest to head-feet, back-front and left-right; each is used once."""
    strength = np.abs(directions).copy()
    order = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(np.argmax(strength), (3, 3))
        order[2 - int(world)] = int(axis)
        strength[world, :] = -1
        strength[:, axis] = -1
    return order
