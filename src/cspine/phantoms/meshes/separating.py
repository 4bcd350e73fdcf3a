"""A bone freed of what a modeller welded to it, and of walls inside it.

Two kinds of walls stand inside a surface. Where shells overlap, one side is enclosed once and the other twice: the wall means
nothing. Where a disc is welded to a body, its end plate and the body's lie on each other, and both sides are enclosed once: the
wall parts two solids.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.phantoms.meshes.distance import unsigned_distance, windings
from cspine.phantoms.meshes.surfaces import Surface

_STEP_MM = 0.45
"""Lattice on which a vertebra's sides are looked up."""

_BESIDE = 1.5
"""Steps from a triangle to where its sides are looked up: beyond the rounding to the lattice."""

_PIECE = 4.0
"""Steps that a triangle may be long; larger ones may stand half within another shell."""

_WALL_MM = 0.5
_NOT_SMALL = 0.04
"""Thin bars of bone also fall apart without their skin; what is smaller than this share of the whole stays."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Says how often each triangle's two sides are enclosed, ``(m,)`` each, and where that was looked up."""

    under: NDArray[np.int16]
    over: NDArray[np.int16]
    axes: list[NDArray[np.float64]]
    enclosed: NDArray[np.int16]


def outer(surface: Surface, step_mm: float = _STEP_MM) -> Surface:
    """Returns the surface, in small triangles, without walls between overlapping shells thicker than ``step_mm``."""
    pieces = surface.refined(_PIECE * step_mm)
    sides = _sides(surface, pieces, step_mm)
    hidden = (sides.under > 0) & (sides.over > 0) & (sides.under != sides.over)
    return Surface(pieces.points, pieces.triangles[~hidden]) if hidden.any() else surface


def largest_solid(surface: Surface) -> Surface:
    """Returns the surface without solids that only a double wall joins to the largest one."""
    sides = _sides(surface, surface, _STEP_MM)
    walls = (sides.under > 0) & (sides.under == sides.over)
    if not walls.any():
        return surface
    away = unsigned_distance(Surface(surface.points, surface.triangles[walls]), sides.axes, 2 * _WALL_MM)
    parts, count = ndimage.label((sides.enclosed > 0) & (away > _WALL_MM))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    welded = 1 + np.flatnonzero((sizes > _NOT_SMALL * sizes.sum()) & (sizes < sizes.max()))
    if not len(welded):
        return surface
    nearest = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    index = _index(_beside(surface, -_BESIDE * _STEP_MM), sides.axes)
    owner = parts[tuple(nearest[:, index[0], index[1], index[2]])]
    return Surface(surface.points, surface.triangles[~np.isin(owner, welded)])


def _sides(surface: Surface, pieces: Surface, step_mm: float) -> _Sides:
    """Returns the sides of ``pieces``, which lie on ``surface``."""
    used, margin = surface.points[surface.triangles.ravel()], 4 * step_mm
    axes = [np.arange(used[:, a].min() - margin, used[:, a].max() + margin, step_mm) for a in range(3)]
    enclosed = windings(surface, axes)
    away = _BESIDE * step_mm
    under, over = (enclosed[tuple(_index(_beside(pieces, side * away), axes))] for side in (-1, 1))
    return _Sides(under, over, axes, enclosed)


def _beside(surface: Surface, away_mm: float) -> NDArray[np.float64]:
    """Returns points over the middles of the triangles, ``(m, 3)``."""
    corners = surface.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    beside: NDArray[np.float64] = corners.mean(axis=1) + away_mm * normals
    return beside


def _index(points: NDArray[np.float64], axes: list[NDArray[np.float64]]) -> NDArray[np.intp]:
    """Returns the nearest lattice points, ``(3, m)`` ordered ``(z, y, x)``."""
    step = axes[0][1] - axes[0][0]
    index = [np.clip(np.round((points[:, a] - axes[a][0]) / step), 0, len(axes[a]) - 1) for a in (2, 1, 0)]
    return np.stack(index).astype(np.intp)
