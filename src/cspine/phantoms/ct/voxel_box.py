"""The part of a grid around something."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.phantoms.model.shapes import Points


@dataclass(frozen=True, slots=True, eq=False)
class VoxelBox:
    """The voxels of a grid around something.

    Attributes:
        grid: The whole grid.
        start: First index.
        stop: Last index but one.
    """

    grid: Grid
    start: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def around(cls, grid: Grid, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]) -> "VoxelBox | None":
        """Returns the voxels near a world box, or ``None``."""
        corners = np.stack(np.meshgrid(*zip(low_mm, high_mm, strict=True), indexing="ij"), axis=-1).reshape(8, 3)
        index = grid.index(corners)
        start = np.maximum(np.floor(index.min(axis=0)).astype(np.intp), 0)
        stop = np.minimum(np.ceil(index.max(axis=0)).astype(np.intp) + 1, grid.shape)
        return cls(grid, start, stop) if np.all(stop > start) else None

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Returns where they are in an array of the whole grid."""
        z, y, x = (slice(int(a), int(b)) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    def points(self) -> Points:
        """Returns their world coordinates, ``(3, z, y, x)``."""
        index = [np.arange(a, b) for a, b in zip(self.start, self.stop, strict=True)]
        matrix, first = self.grid.affine[:3, :3], self.grid.affine[:3, 3]
        out = np.empty((3, *(len(one) for one in index)), np.float32)
        for axis in range(3):
            z, y, x = (matrix[axis, a] * index[a] for a in range(3))
            out[axis] = (first[axis] + z)[:, None, None] + y[:, None] + x
        return out
