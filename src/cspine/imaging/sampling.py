"""The one function that orients, resamples, crops and pads, and that finds the way back.

Where the two grids share their axes, each axis is handled alone: by copying where voxels coincide, else by a small banded
matrix. Otherwise (oblique, sheared) the affine transform of :mod:`scipy.ndimage` does it. Going to coarser voxels averages over
them, so that thin cortical bone is weakened, not skipped: the linear interpolant is convolved with a box that makes it about as
wide as a target voxel. Linear fields are kept exactly.
"""

from typing import overload

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Grid, Shape
from cspine.volume import AIR_HU, LabelMap, Volume

_SAME = 5e-3
"""Voxels that lie nearer than this, in voxels of the source, coincide."""

_SAME_LABEL = 1e-6
"""The same for labels, of which one or another is taken however near a border lies."""

_BLOCK = 16
"""Slices per matrix product: what is copied for one stays in the processor's cache."""

_BAND = 64
"""Target voxels per matrix product: small enough that a band of a long axis stays narrow."""


@overload
def sample(source: Volume, grid: Grid, fill: float = AIR_HU) -> Volume: ...
@overload
def sample(source: LabelMap, grid: Grid, fill: float = 0) -> LabelMap: ...
def sample(source: Volume | LabelMap, grid: Grid, fill: float | None = None) -> Volume | LabelMap:
    """The image on another grid.

    Hounsfield units are interpolated linearly and averaged where the target is coarser; labels take the nearest voxel.

    Args:
        source: What is sampled.
        grid: Where it is wanted.
        fill: The value outside the source; air and background by default.
    """
    matrix, offset = _relation(source.grid, grid)
    if isinstance(source, LabelMap):
        labels = _nearest(source.labels, matrix, offset, grid.shape, int(fill or 0))
        return LabelMap(labels, grid)
    return Volume(_linear(source, grid, AIR_HU if fill is None else fill), grid)


def _relation(source: Grid, target: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``source_index = matrix @ target_index + offset``."""
    inverse = np.linalg.inv(source.affine)
    matrix = inverse[:3, :3] @ target.affine[:3, :3]
    return matrix, inverse[:3, :3] @ target.affine[:3, 3] + inverse[:3, 3]


def _linear(source: Volume, grid: Grid, fill: float) -> NDArray[np.float32]:
    matrix, offset = _relation(source.grid, grid)
    axes = _shared_axes(matrix, grid.shape, _SAME)
    if axes is not None:
        return _separable(source.hu, axes, matrix, offset, grid.shape, fill)
    coarse = _coarser(source.grid, grid)
    if coarse is not None:
        source = sample(source, coarse, fill)
        matrix, offset = _relation(source.grid, grid)
    # "grid-constant", because "constant" treats half a border voxel as outside
    return np.asarray(
        ndimage.affine_transform(source.hu, matrix, offset, grid.shape, order=1, mode="grid-constant", cval=fill),
        dtype=np.float32,
    )


def _nearest(
    labels: NDArray[np.uint8], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: Shape, fill: int
) -> NDArray[np.uint8]:
    axes = _shared_axes(matrix, shape, _SAME_LABEL)
    if axes is None:
        moved = ndimage.affine_transform(labels, matrix, offset, shape, order=0, mode="grid-constant", cval=fill)
        return np.asarray(moved, dtype=np.uint8)
    out = labels
    for axis, target in enumerate(axes):
        where = np.floor(matrix[axis, target] * np.arange(shape[target]) + offset[axis] + 0.5 + 1e-9).astype(np.intp)
        inside = (where >= 0) & (where < labels.shape[axis])
        out = np.take(out, np.clip(where, 0, labels.shape[axis] - 1), axis=axis)
        out[(slice(None),) * axis + (~inside,)] = fill
    return np.ascontiguousarray(np.transpose(out, np.argsort(axes)))


def _shared_axes(matrix: NDArray[np.float64], shape: Shape, same: float) -> tuple[int, ...] | None:
    """For each source axis the target axis that runs along it; ``None`` where they part by ``same`` voxels or more."""
    axes = tuple(int(a) for a in np.argmax(np.abs(matrix), axis=1))
    if sorted(axes) != [0, 1, 2]:
        return None
    rest = np.abs(matrix).copy()
    rest[range(3), axes] = 0
    return axes if float(np.max(rest @ np.asarray(shape))) < same else None


def _coarser(source: Grid, target: Grid) -> Grid | None:
    """The source's own axes with steps as long as the target's, where those are longer."""
    steps = np.asarray(target.spacing_mm)
    along = np.abs(source.directions.T @ target.directions)
    wanted = np.maximum(source.spacing_mm, steps[np.argmax(along, axis=1)])
    if np.all(wanted <= np.asarray(source.spacing_mm) * 1.05):
        return None
    return source.with_spacing((float(wanted[0]), float(wanted[1]), float(wanted[2])))


def _separable(
    hu: NDArray[np.float32],
    axes: tuple[int, ...],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    shape: Shape,
    fill: float,
) -> NDArray[np.float32]:
    """One axis after the other, those that shrink most first; among equals the last, along which voxels lie side by side."""
    out = hu
    for axis in sorted(range(3), key=lambda a: (shape[axes[a]] / hu.shape[a], -a)):
        step, count = float(matrix[axis, axes[axis]]), shape[axes[axis]]
        positions = step * np.arange(count) + offset[axis]
        out = _along(out, axis, positions, abs(step), fill)
    return np.ascontiguousarray(np.transpose(out, np.argsort(axes)))


def _along(hu: NDArray[np.float32], axis: int, positions: NDArray[np.float64], step: float, fill: float) -> NDArray[np.float32]:
    """Values at fractional ``positions`` of one axis."""
    length = hu.shape[axis]
    nearest = np.round(positions)
    if step < 1.5 and np.max(np.abs(positions - nearest)) < _SAME:
        return _copied(hu, axis, nearest.astype(np.intp), fill)
    width = float(np.sqrt(max(step**2 - 1, 0)))
    reach = 1 + width / 2
    shape = list(hu.shape)
    shape[axis] = len(positions)
    out = np.empty(shape, dtype=np.float32)
    for begin in range(0, len(positions), _BAND):
        centres = positions[begin : begin + _BAND]
        low = int(np.clip(np.floor(centres.min() - reach), 0, length))
        high = int(np.clip(np.ceil(centres.max() + reach) + 1, low, length))
        weights, missing = _weights(centres, low, high, length, width)
        part = hu[(slice(None),) * axis + (slice(low, high),)]
        outside = (missing * np.float32(fill)).reshape([-1 if a == axis else 1 for a in range(3)])
        out[(slice(None),) * axis + (slice(begin, begin + len(centres)),)] = _product(weights, part, axis) + outside
    return out


def _product(weights: NDArray[np.float32], part: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """``weights`` ``(n, k)`` applied along ``axis``, which has ``k`` voxels."""
    if axis == 0:
        return (weights @ part.reshape(len(part), part.shape[1] * part.shape[2])).reshape(-1, *part.shape[1:])
    blocks = [_block_product(weights, part[begin : begin + _BLOCK], axis) for begin in range(0, len(part), _BLOCK)]
    return np.concatenate(blocks)


def _block_product(weights: NDArray[np.float32], part: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """One large product for a block of slices: with one for each slice, the threads of the matrix library wait for each other."""
    moved = np.ascontiguousarray(np.moveaxis(part, axis, -1))
    product = moved.reshape(-1, part.shape[axis]) if part.size else np.zeros((moved.shape[0] * moved.shape[1], 0), np.float32)
    return np.moveaxis((product @ weights.T).reshape(*moved.shape[:2], len(weights)), -1, axis)


def _weights(
    centres: NDArray[np.float64], low: int, high: int, length: int, width: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights of source voxels ``low..high`` for each centre, and the weight that falls outside the source."""
    reach = 1 + width / 2
    first, last = int(np.floor(centres.min() - reach)), int(np.ceil(centres.max() + reach)) + 1
    voxels = np.arange(first, last)
    distance = voxels - centres[:, None]
    if width > 1e-3:
        weights = (_area(distance + width / 2) - _area(distance - width / 2)) / width
    else:
        weights = np.clip(1 - np.abs(distance), 0, None)
    outside = (voxels < 0) | (voxels >= length)
    return weights[:, low - first : high - first].astype(np.float32), weights[:, outside].sum(axis=1).astype(np.float32)


def _area(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area of the unit triangle left of ``x``."""
    x = np.clip(x, -1, 1)
    area: NDArray[np.float64] = np.where(x < 0, (1 + x) ** 2 / 2, 1 - (1 - x) ** 2 / 2)
    return area


def _copied(hu: NDArray[np.float32], axis: int, where: NDArray[np.intp], fill: float) -> NDArray[np.float32]:
    if len(where) == hu.shape[axis] and np.array_equal(where, np.arange(len(where))):
        return hu
    inside = (where >= 0) & (where < hu.shape[axis])
    out = np.take(hu, np.clip(where, 0, hu.shape[axis] - 1), axis=axis)
    if not inside.all():
        out[(slice(None),) * axis + (~inside,)] = fill
    return out
