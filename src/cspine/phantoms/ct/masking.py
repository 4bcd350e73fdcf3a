"""Finds which voxels of a scan lie beyond its mask."""

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.phantoms.ct.soft_tissue import skin_mm
from cspine.phantoms.model.neck import Neck


def beyond_mask(neck: Neck, grid: Grid) -> NDArray[np.bool_]:
    """Returns which voxels of a grid the mask of a neck takes away, ``(z, y, x)``; none where it has no mask."""
    mask, course = neck.mask, neck.tissue.course
    if mask is None:
        return np.zeros(grid.shape, np.bool_)
    unit = scaled_grid(grid, 1 / neck.scale)
    world = [
        unit.affine[a, 3]
        + sum(unit.affine[a, b] * np.arange(unit.shape[b]).reshape([-1 if c == b else 1 for c in range(3)]) for b in range(3))
        for a in range(3)
    ]
    x, y, z = np.broadcast_arrays(*world)
    u = x - np.interp(z, course.heights_mm, course.canal_mm[:, 0])
    v = y - np.interp(z, course.heights_mm, course.canal_mm[:, 1])
    near, slant = mask.front
    before = near - slant * np.maximum(course.heights_mm[-1] - z, 0)
    gone = (z > mask.top_mm) | (z < mask.bottom_mm) | (np.abs(u) > mask.side_mm) | (v < -np.maximum(before, 12.0))
    gone |= (z >= mask.gap_mm[0]) & (z < mask.gap_mm[1])
    gone &= np.hypot(u, v) > mask.tube_mm
    return np.asarray(gone | (skin_mm(neck.tissue, unit) > mask.skin_mm))


def scaled_grid(grid: Grid, scale: float) -> Grid:
    """Returns a grid with all its coordinates multiplied."""
    if scale == 1.0:
        return grid
    affine = grid.affine.copy()
    affine[:3] *= scale
    return Grid(grid.shape, affine)
