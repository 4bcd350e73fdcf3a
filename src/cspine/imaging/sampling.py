"""The one function that orients, resamples, crops and pads, and that finds the way back.

Where the two grids share their axes, each axis is handled alone: by copying where voxels coincide, else by a small banded
matrix. Otherwise (oblique, sheared) :mod:`cspine.imaging.turned` does it. Going to coarser voxels averages over them, so that thin
cortical bone is weakened, not skipped: the linear interpolant is convolved with a box that makes it about as wide as a target
voxel. Linear fields are kept exactly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from cspine.concurrency.processors import processors
from cspine.concurrency.threads import side_by_side
from cspine.geometry import Grid, Shape
from cspine.imaging import turned
from cspine.volume import AIR_HU, LabelMap, Volume

_SAME = 5e-3
"""Voxels that lie nearer than this, in voxels of the source, coincide."""

_SAME_LABEL = 1e-6
"""The same for labels, of which one or another is taken however near a border lies."""

_SPARE = 2
"""Voxels around a part of a source that its border depends on, besides those that one coarser voxel averages."""

_BLOCK = 2
"""Slices at a time: they stay in the processor's cache."""

_BAND = 16
"""Target voxels per matrix product: small enough that a band of a long axis stays narrow."""

_STRETCH = 1 << 14
"""Voxels of a slice per matrix product across slices."""

_MANY = 1 << 20
"""An array of fewer voxels is not worth a second thread."""


@overload
def sample(source: Volume, grid: Grid, fill: float = AIR_HU) -> Volume: ...
@overload
def sample(source: LabelMap, grid: Grid, fill: float = 0) -> LabelMap: ...
def sample(source: Volume | LabelMap, grid: Grid, fill: float | None = None) -> Volume | LabelMap:
    """Returns the image on another grid.

    Hounsfield units are interpolated linearly and averaged where the target is coarser; labels take the nearest voxel.

    Args:
        source: What is sampled.
        grid: Where it is wanted.
        fill: The value outside the source; air and background by default.
    """
    matrix, offset = _relation(source.grid, grid)
    if isinstance(source, LabelMap):
        labels = nearest(source.labels, matrix, offset, grid.shape, int(fill or 0))
        return LabelMap(labels, grid)
    return Volume(_linear(source, grid, AIR_HU if fill is None else fill), grid)


def _relation(source: Grid, target: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the map ``source_index = matrix @ target_index + offset``."""
    inverse = np.linalg.inv(source.affine)
    matrix = inverse[:3, :3] @ target.affine[:3, :3]
    return matrix, inverse[:3, :3] @ target.affine[:3, 3] + inverse[:3, 3]


def around(source: Volume, grids: Sequence[Grid]) -> Volume:
    """Returns a part of an image from which several grids of like voxels are sampled at less cost than each from all of it.

    What they are averaged over is averaged once, wherever they overlap.

    Args:
        source: What is sampled.
        grids: Where it is wanted; one at least.
    """
    near = _near(source, grids)
    steps = [coarse.spacing_mm for grid in grids if (coarse := _coarser(near.grid, grid)) is not None]
    if len(steps) < len(grids):
        return near
    z, y, x = (float(side) for side in np.min(steps, axis=0))
    return sample(near, near.grid.with_spacing((z, y, x)))


def _near(source: Volume, grids: Sequence[Grid]) -> Volume:
    """Returns the part of an image on which some grids depend; at least a voxel."""
    index = source.grid.index(np.concatenate([grid.corners_mm() for grid in grids]))
    coarsest = max(max(grid.spacing_mm) for grid in grids)
    spare = _SPARE + np.ceil(coarsest / np.asarray(source.grid.spacing_mm))
    low = np.clip(np.floor(index.min(axis=0) - spare), 0, np.asarray(source.grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + spare) + 1, low + 1, source.grid.shape).astype(int)
    z, y, x = (slice(a, b) for a, b in zip(low, high, strict=True))
    hu = source.hu[z, y, x]
    return Volume(hu, source.grid.part(low, hu.shape))


def _linear(source: Volume, grid: Grid, fill: float) -> NDArray[np.float32]:
    near = _near(source, [grid])
    matrix, offset = _relation(near.grid, grid)
    axes = _shared_axes(matrix, grid.shape, _SAME)
    if axes is not None:
        return _separable(near.hu, axes, matrix, offset, grid.shape, fill)
    coarse = _coarser(near.grid, grid)
    if coarse is not None:
        near = sample(near, coarse, fill)
        matrix, offset = _relation(near.grid, grid)
    hu = near.hu.astype(np.float32, copy=False)
    if not _within(grid, near.grid):
        hu, offset = np.pad(hu, 1, constant_values=fill), offset + 1
    return turned.linear(hu, matrix, offset, grid.shape)


def _within(grid: Grid, source: Grid) -> bool:
    """Says whether every voxel of a grid has its middle among those of a source."""
    index = source.index(grid.corners_mm())
    return bool(np.all((index >= 0) & (index <= np.asarray(source.shape) - 1)))


def nearest(
    labels: NDArray[np.uint8], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: Shape, fill: int
) -> NDArray[np.uint8]:
    """Returns the nearest labels at the places ``matrix @ index + offset`` of an array, for all indices of ``shape``."""
    axes = _shared_axes(matrix, shape, _SAME_LABEL)
    if axes is None:
        return turned.nearest(labels, matrix, offset, shape, fill)
    out = labels
    for axis, target in enumerate(axes):
        where = np.floor(matrix[axis, target] * np.arange(shape[target]) + offset[axis] + 0.5 + 1e-9).astype(np.intp)
        inside = (where >= 0) & (where < labels.shape[axis])
        out = np.take(out, np.clip(where, 0, labels.shape[axis] - 1), axis=axis)
        out[(slice(None),) * axis + (~inside,)] = fill
    return np.ascontiguousarray(np.transpose(out, np.argsort(axes)))


def _shared_axes(matrix: NDArray[np.float64], shape: Shape, same: float) -> tuple[int, ...] | None:
    """Returns for each source axis the target axis along it; ``None`` where they part by ``same`` voxels or more."""
    axes = tuple(int(a) for a in np.argmax(np.abs(matrix), axis=1))
    if sorted(axes) != [0, 1, 2]:
        return None
    rest = np.abs(matrix).copy()
    rest[range(3), axes] = 0
    return axes if float(np.max(rest @ np.asarray(shape))) < same else None


def _coarser(source: Grid, target: Grid) -> Grid | None:
    """Returns the source's own axes with steps as long as the target's, where those are longer."""
    steps = np.asarray(target.spacing_mm)
    along = np.abs(source.directions.T @ target.directions)
    wanted = np.maximum(source.spacing_mm, steps[np.argmax(along, axis=1)])
    if np.all(wanted <= np.asarray(source.spacing_mm) * 1.05):
        return None
    return source.with_spacing((float(wanted[0]), float(wanted[1]), float(wanted[2])))


def _separable(
    hu: NDArray[Any],
    axes: tuple[int, ...],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    shape: Shape,
    fill: float,
) -> NDArray[np.float32]:
    """Samples one axis after the other: within slices, then across them."""
    steps = [float(matrix[axis, axes[axis]]) for axis in range(3)]
    z, y, x = (
        _Way.along(step * np.arange(shape[target]) + start, abs(step), length, fill)
        for step, target, start, length in zip(steps, axes, offset, hu.shape, strict=True)
    )
    if z is not None and z.is_choice(len(hu)):
        hu, z = hu[z.copied], None  # whole slices: none is sampled in vain, and none is copied once it is sampled
    planes = hu if y is None and x is None else _within_slices(hu, y, x)
    out = planes if z is None else _across_slices(planes, z)
    return np.ascontiguousarray(np.transpose(out, np.argsort(axes)), dtype=np.float32)


def _within_slices(hu: NDArray[Any], y: "_Way | None", x: "_Way | None") -> NDArray[np.float32]:
    """Samples along rows and columns: a block of slices at a time, while it is in the processor's cache."""
    rows, columns = (old if way is None else way.count for way, old in zip((y, x), hu.shape[1:], strict=True))
    out = np.empty((len(hu), rows, columns), np.float32)

    def fill(starts: range) -> None:
        between = np.empty((_BLOCK, hu.shape[1], columns), np.float32)
        for start in starts:
            # all at once, as the stretches of a row that a band needs are short
            part, here = hu[start : start + _BLOCK].astype(np.float32, copy=False), out[start : start + _BLOCK]
            if x is not None:
                part = x.of(part, 2, here if y is None else between[: len(part)])
            if y is not None:
                y.of(part, 1, here)

    _in_threads(fill, range(0, len(hu), _BLOCK), hu.size)
    return out


def _across_slices(hu: NDArray[Any], z: "_Way") -> NDArray[np.float32]:
    """Samples from slices to slices: a stretch of their voxels at a time."""
    out = np.empty((z.count, *hu.shape[1:]), np.float32)
    flat, target = hu.reshape(len(hu), hu[0].size), out.reshape(z.count, hu[0].size)

    def fill(starts: range) -> None:
        for start in starts:
            here = slice(start, start + _STRETCH)
            z.of(flat[:, here], 0, target[:, here])

    _in_threads(fill, range(0, hu[0].size, _STRETCH), hu.size)
    return out


def _in_threads(fill: Callable[[range], None], starts: range, voxels: int) -> None:
    """Shares starts among several threads; this one does all where there is little to do."""
    if voxels < _MANY:
        fill(starts)
    else:
        count = processors()
        side_by_side(fill, [starts[number::count] for number in range(count)])


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """Neighbouring targets: which, from which voxels, with which weights ``(targets, voxels)``, and what comes from outside."""

    targets: slice
    voxels: slice
    weights: NDArray[np.float32]
    outside: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """Leads from voxels along one axis to fractional positions: voxels that are copied, or bands of weighted ones."""

    count: int
    copied: NDArray[np.intp] | None
    bands: tuple[_Band, ...]
    fill: float

    @classmethod
    def along(cls, positions: NDArray[np.float64], step: float, length: int, fill: float) -> "_Way | None":
        """Returns the way to ``positions``, ``step`` voxels apart; ``None`` where nothing changes."""
        nearest = np.round(positions)
        if step < 1.5 and np.max(np.abs(positions - nearest)) < _SAME:
            where = nearest.astype(np.intp)
            return None if np.array_equal(where, np.arange(length)) else cls(len(where), where, (), fill)
        width = float(np.sqrt(max(step**2 - 1, 0)))
        reach, bands = 1 + width / 2, []
        for begin in range(0, len(positions), _BAND):
            centres = positions[begin : begin + _BAND]
            low = int(np.clip(np.floor(centres.min() - reach), 0, length))
            high = int(np.clip(np.ceil(centres.max() + reach) + 1, low, length))
            weights, missing = _weights(centres, low, high, length, width)
            bands.append(_Band(slice(begin, begin + len(centres)), slice(low, high), weights, missing * np.float32(fill)))
        return cls(len(positions), None, tuple(bands), fill)

    def is_choice(self, length: int) -> bool:
        """Says whether all that it leads to are voxels of an axis of this length, copied."""
        return self.copied is not None and bool(self.copied.min() >= 0 and self.copied.max() < length)

    def of(self, hu: NDArray[Any], axis: int, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the values there, of an array whose ``axis`` it is, into ``out``; whole numbers become float32 part by part."""
        before, after = (slice(None),) * axis, (..., *(None,) * (hu.ndim - 1 - axis))
        if self.copied is not None:
            np.take(hu.astype(np.float32, copy=False), self.copied, axis=axis, out=out, mode="clip")
            out[(*before, (self.copied < 0) | (self.copied >= hu.shape[axis]))] = self.fill
        for band in self.bands:
            part, here = hu[(*before, band.voxels)].astype(np.float32, copy=False), out[(*before, band.targets)]
            np.matmul(*((part, band.weights.T) if axis == 2 else (band.weights, part)), out=here)
            if band.outside.any():
                here += band.outside[after]
        return out


def _weights(
    centres: NDArray[np.float64], low: int, high: int, length: int, width: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns weights of source voxels ``low..high`` for each centre, and the weight that falls outside the source."""
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
    """Returns the area of the unit triangle left of ``x``."""
    x = np.clip(x, -1, 1)
    area: NDArray[np.float64] = np.where(x < 0, (1 + x) ** 2 / 2, 1 - (1 - x) ** 2 / 2)
    return area
