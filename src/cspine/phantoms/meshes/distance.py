"""Computes how far a point lies from a surface, and on which side.

Surfaces from modelling tools have gaps and overlapping shells. So the side is a vote: along each of the three axes, in both
directions, a ray counts how often it goes in and out; most of the six decide.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from cspine.phantoms.meshes.surfaces import Surface

_SAMPLE_MM = 0.6
_CANDIDATES = 3
"""The nearest samples whose triangles are measured exactly."""

_NUDGE_MM = (1.37e-5, 2.71e-5)
"""Rays pass beside corners and edges, not through them."""

_CHUNK = 1 << 17

Axes = Sequence[NDArray[np.float64]]


def unsigned_distance(surface: Surface, axes: Axes, limit_mm: float) -> NDArray[np.float32]:
    """Returns the distance in mm from each point of a lattice to the surface, cut off at ``limit_mm``, ``(z, y, x)``.

    Args:
        surface: In mm.
        axes: Coordinates of the lattice along x, y and z.
        limit_mm: Farther points are not distinguished.
    """
    samples, owners = _samples(surface)
    tree, corners = spatial.cKDTree(samples), surface.corners
    x, y, z = axes
    shape = (len(z), len(y), len(x))
    out = np.full(shape, limit_mm, dtype=np.float32).ravel()
    near = np.flatnonzero(_near(samples, axes, limit_mm))
    k, j, i = np.unravel_index(near, shape)
    points = np.stack([x[i], y[j], z[k]], axis=1)
    for begin in range(0, len(points), _CHUNK):
        part = points[begin : begin + _CHUNK]
        found_away, found = (np.asarray(a) for a in tree.query(part, k=_CANDIDATES, distance_upper_bound=limit_mm + _SAMPLE_MM))
        known = np.isfinite(found_away)
        rows, columns = np.nonzero(known)
        exact = np.full(known.shape, limit_mm)
        exact[rows, columns] = _to_triangles(part[rows], corners[owners[found[rows, columns]]])
        out[near[begin : begin + _CHUNK]] = np.minimum(exact.min(axis=1), limit_mm)
    return out.reshape(shape)


def inside(surface: Surface, axes: Axes) -> NDArray[np.bool_]:
    """Returns whether each point of a lattice lies inside the surface, ``(z, y, x)``; see :func:`unsigned_distance`.

    Cavities that no way leads out of are filled: bones have none of a size that matters.
    """
    return np.asarray(ndimage.binary_fill_holes(windings(surface, axes) > 0))


def windings(surface: Surface, axes: Axes) -> NDArray[np.int16]:
    """Returns how often each point of a lattice is enclosed, ``(z, y, x)``: 1 inside, 2 where two shells overlap."""
    counts = []
    for ray in range(3):
        crossings = _crossings(surface, axes, ray)
        below = np.cumsum(crossings, axis=2, dtype=np.int16)
        above = below - below[:, :, -1:]
        for seen in (below, above):  # both are 1 inside; a gap spoils one of them
            counts.append(np.moveaxis(seen[:, :, :-1], (0, 1, 2), (*(a for a in range(3) if a != ray), ray)))
    ordered = np.sort(np.stack(counts), axis=0)
    return np.ascontiguousarray(ordered[2].transpose(2, 1, 0))  # the lower middle: in doubt outside


def open_share(surface: Surface, step_mm: float) -> float:
    """Returns the share of lines that enter a surface and do not leave it, or the other way round; along the worst axis.

    0 for a closed surface whose faces all point outwards.
    """
    used = surface.points[surface.triangles.ravel()]
    axes = [np.arange(low - 2 * step_mm, high + 2 * step_mm, step_mm) for low, high in zip(used.min(0), used.max(0), strict=True)]
    worst = 0.0
    for ray in range(3):
        crossings = _crossings(surface, axes, ray)
        met = np.any(crossings != 0, axis=2)
        worst = max(worst, float(np.mean(crossings.sum(axis=2)[met] != 0)) if met.any() else 1.0)
    return worst


def _samples(surface: Surface) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Returns points on the surface, no farther than about ``_SAMPLE_MM`` apart, and the triangle of each."""
    pieces, owners = [], []
    corners = surface.corners
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    parts = np.maximum(1, np.ceil(longest / _SAMPLE_MM)).astype(int)
    for count in np.unique(parts):
        i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
        weights = np.stack([i, j, count - i - j], axis=-1)[i + j <= count] / count
        chosen = np.flatnonzero(parts == count)
        pieces.append(np.einsum("wk,mkd->mwd", weights, corners[chosen]).reshape(-1, 3))
        owners.append(np.repeat(chosen, len(weights)))
    return np.concatenate(pieces), np.concatenate(owners)


def _near(samples: NDArray[np.float64], axes: Axes, limit_mm: float) -> NDArray[np.bool_]:
    """Returns lattice points within about ``limit_mm`` of a sample: cheap, and never too few."""
    step = float(axes[0][1] - axes[0][0])
    index = np.stack([np.round((samples[:, a] - axes[a][0]) / step) for a in (2, 1, 0)]).astype(np.intp)
    empty = np.ones(tuple(len(axes[a]) for a in (2, 1, 0)), dtype=np.bool_)
    within = np.all((index >= 0) & (index < np.array(empty.shape)[:, None]), axis=0)
    empty[tuple(index[:, within])] = False
    return np.asarray(ndimage.distance_transform_edt(empty) * step <= limit_mm + _SAMPLE_MM + step)


def _to_triangles(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns distances ``(n,)`` of points ``(n, 3)`` to their triangles ``(n, 3, 3)``: to the plane over it, else to the edges."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normal, axis=1)
    normal /= np.maximum(size, 1e-12)[:, None]
    over = size > 1e-12
    nearest = np.full(len(points), np.inf)
    for a in range(3):
        start, edge = corners[:, a], corners[:, (a + 1) % 3] - corners[:, a]
        away = points - start
        share = np.clip(_dot(away, edge) / np.maximum(_dot(edge, edge), 1e-24), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(away - share[:, None] * edge, axis=1))
        over &= _dot(np.cross(edge, away), normal) >= 0
    return np.where(over, np.abs(_dot(points - corners[:, 0], normal)), nearest)


def _dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = np.einsum("ij,ij->i", a, b)
    return product


def _crossings(surface: Surface, axes: Axes, ray: int) -> NDArray[np.int16]:
    """Returns for each ray between which lattice points it enters (+1) and leaves (-1), ``(across, across, along + 1)``."""
    first, second = (a for a in range(3) if a != ray)
    u_axis, v_axis, w_axis = axes[first], axes[second], axes[ray]
    u = surface.corners[:, :, first] - _NUDGE_MM[0]
    v = surface.corners[:, :, second] - _NUDGE_MM[1]
    w = surface.corners[:, :, ray]
    i, j, owner = _columns(u, v, u_axis, v_axis)
    u, v, w = u[owner], v[owner], w[owner]
    area = (u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0])
    du, dv = u_axis[i] - u[:, 0], v_axis[j] - v[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (du * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * dv) / area
        t = ((u[:, 1] - u[:, 0]) * dv - du * (v[:, 1] - v[:, 0])) / area
        hit = (s >= 0) & (t >= 0) & (s + t <= 1)
    i, j, w, s, t = i[hit], j[hit], w[hit], s[hit], t[hit]
    height = w[:, 0] + s * (w[:, 1] - w[:, 0]) + t * (w[:, 2] - w[:, 0])
    # the normal along the ray; (first, second, ray) is a left-handed triple for y
    sign = -np.sign(area[hit]) * (-1 if ray == 1 else 1)
    counts = np.zeros((len(u_axis), len(v_axis), len(w_axis) + 1), dtype=np.int16)
    np.add.at(counts, (i, j, np.searchsorted(w_axis, height)), sign.astype(np.int16))
    return counts


def _columns(
    u: NDArray[np.float64], v: NDArray[np.float64], u_axis: NDArray[np.float64], v_axis: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns every ray that passes through the box of a triangle: its two indices, and the triangle."""
    low_i, low_j = np.searchsorted(u_axis, u.min(axis=1)), np.searchsorted(v_axis, v.min(axis=1))
    wide = np.searchsorted(u_axis, u.max(axis=1)) - low_i
    deep = np.searchsorted(v_axis, v.max(axis=1)) - low_j
    owner = np.repeat(np.arange(len(u)), wide * deep)
    order = np.arange(len(owner)) - np.repeat(np.cumsum(wide * deep) - wide * deep, wide * deep)
    return low_i[owner] + order // deep[owner], low_j[owner] + order % deep[owner], owner
