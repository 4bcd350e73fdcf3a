"""A whole scan as a localiser sees it: windows over all of it, laid over one another; then one that holds all of the neck.

A window that holds a part of a neck counts from what it sees, and may be one off; where such windows overlap, borders between
levels end up within vertebrae. So where the neck was found, one window over all of it has the last word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.geometry import Grid, Shape
from cspine.imaging import sample
from cspine.imaging.windowing import windowed
from cspine.runtime import Session
from cspine.specs import OTHER_BONE_CLASS, OTHER_VERTEBRA_CLASS, VOXEL_CLASSES, VolumeSpec
from cspine.volume import Volume

_BONE_HU = 150.0
_LEAST_BONE_ML = 3.0
"""A window of less bone than that is not looked at."""

_OVERLAP = 0.5

_AT_ONCE = 1.5
"""A side of a scan that is longer than a window's by no more than that is looked at in one piece."""

_NECK_MM = 240.0
"""Height of the window that holds all of a neck, from the skull to the chest."""

_SURELY_NOTHING = 0.995
"""Of voxels that are background with more than that nothing else is looked up."""

_SAME = 1e-3
"""Voxels that lie nearer than this, in voxels, coincide."""

_NOTHING = np.eye(VOXEL_CLASSES, dtype=np.float32)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a localiser says about a scan.

    Attributes:
        hu: What was looked at, ``(z, y, x)``.
        probabilities: Background, C1..C7, other vertebra, other bone, of each voxel, ``(z, y, x, 10)``.
        grid: Upright, slices from feet to head.
        seen: Which voxels the scan holds, ``(z, y, x)``.
        close: Whether it was looked at in one window no larger than that of a closer look.
    """

    hu: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    grid: Grid
    seen: NDArray[np.bool_]
    close: bool = False

    def hu_in(self, window: Grid) -> NDArray[np.float32]:
        """What was looked at on the voxels of a window, between its own; air beyond."""
        return sample(Volume(self.hu, self.grid), window).hu


def look(volume: Volume, spec: VolumeSpec, session: Session) -> Look:
    """Looks at all of a scan, however it is oriented and wherever the neck lies in it.

    Args:
        volume: The scan.
        spec: What the network is fed.
        session: The network; its output ``levels`` is ``(n, z, y, x, 10)``.

    Raises:
        PackageError: The network does not do what it should.
    """
    size = _window_size(covering_grid(volume.grid, spec).shape, spec)
    grid = covering_grid(volume.grid, replace(spec, size=size))
    hu = sample(volume, grid).hu
    seen = _seen(volume.grid, grid)
    looked_at = [
        window
        for window in windows(grid.shape, size)
        if np.count_nonzero(hu[window] > _BONE_HU) * np.prod(spec.spacing_mm) / 1000 >= _LEAST_BONE_ML
    ]
    said = look_at(hu, spec, session) if size == grid.shape and looked_at else _laid_over(looked_at, hu, spec, session)
    said[~seen] = _NOTHING
    close = size == grid.shape and all(side <= most for side, most in zip(size, neck_shape(spec), strict=True))
    return Look(hu, said, grid, seen, close)


def _laid_over(
    parts: Sequence[tuple[slice, slice, slice]], hu: NDArray[np.float32], spec: VolumeSpec, session: Session
) -> NDArray[np.float32]:
    """What a network says of windows of one size, ``(z, y, x, 10)``; where several look, most what one sees in its middle."""
    total, said = np.full(hu.shape, 1e-6, np.float32), np.zeros((*hu.shape, VOXEL_CLASSES), np.float32)
    for window in parts:
        weight = _weight(hu[window].shape)
        said[window] += look_at(hu[window], spec, session) * weight[..., None]
        total[window] += weight
    said /= total[..., None]
    said[..., 0] += np.clip(1 - said.sum(axis=-1), 0, 1)  # where nobody looked there is nothing
    return said


def look_again(seen: Look, window: Grid, said: NDArray[np.float32]) -> Look:
    """What is said of a scan once one window that holds all of a neck says what is there.

    A scan has one neck: what was called C1..C7 beyond the window is other bone.

    Args:
        seen: What was said of the scan.
        window: Where the neck is, turned as the neck is; of :func:`cspine.locating.looking.neck_shape`.
        said: What is said of each voxel of the window, ``(z, y, x, 10)``.
    """
    probabilities = seen.probabilities.copy()
    probabilities[..., OTHER_BONE_CLASS] += probabilities[..., 1:OTHER_VERTEBRA_CLASS].sum(axis=-1)
    probabilities[..., 1:OTHER_VERTEBRA_CLASS] = 0
    _put(said, window, probabilities, seen.grid)
    probabilities[~seen.seen] = _NOTHING
    return replace(seen, probabilities=probabilities)


def look_at(hu: NDArray[np.float32], spec: VolumeSpec, session: Session, *, mirrored: bool = False) -> NDArray[np.float32]:
    """What a network says of a window of any height, ``(z, y, x, 10)``.

    Args:
        hu: What the window shows, ``(z, y, x)``.
        spec: What the network is fed.
        session: The network.
        mirrored: Whether it looks at the mirrored window too, and both are averaged.

    Raises:
        PackageError: The network does not do what it should.
    """
    fed = windowed(hu, spec.window_hu)
    said: NDArray[np.float32] = session.run(fed[None, ..., None])["levels"][0]
    if mirrored:
        said += session.run(np.ascontiguousarray(fed[..., ::-1])[None, ..., None])["levels"][0][:, :, ::-1]
        said /= 2
    return said


def with_atlas_of(other: NDArray[np.float32], said: NDArray[np.float32]) -> NDArray[np.float32]:
    """What one look says, but where it or another sees C1 what the other one says; probabilities ``(z, y, x, 10)``."""
    atlas = np.maximum(said[..., Level.C1], other[..., Level.C1])[..., None]
    found = other - said
    found *= atlas
    found += said
    return found


def _put(said: NDArray[np.float32], window: Grid, whole: NDArray[np.float32], grid: Grid) -> None:
    """What is said of a window, on the voxels of a grid that lie in it, between its own. In place."""
    corners = grid.index(window.corners_mm())
    low, high = np.ceil(corners.min(axis=0)).astype(int), np.floor(corners.max(axis=0)).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, grid.shape)
    first = window.index(grid.world(low))
    if np.allclose(window.affine[:3, :3], grid.affine[:3, :3]) and np.allclose(first, np.rint(first), atol=_SAME):
        start = np.rint(first).astype(int)
        whole[_box(low, high)] = said[_box(start, start + high - low)]
        return
    sides = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3)
    index = window.index(grid.world(places))
    inside = np.all((index >= 0) & (index <= np.array(window.shape) - 1), axis=1)
    places, index = places[inside], index[inside]
    whole[tuple(places.T)] = _NOTHING
    bone = said[tuple(np.rint(index).astype(np.intp).T)][:, 0] < _SURELY_NOTHING
    some, between = tuple(places[bone].T), index[bone].T
    for number in range(VOXEL_CLASSES):
        whole[(*some, number)] = ndimage.map_coordinates(said[..., number], between, order=1)


def _box(low: NDArray[np.intp], high: NDArray[np.intp]) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))


def neck_shape(spec: VolumeSpec) -> Shape:
    """Voxels of a window that is as high as a neck."""
    step = _step(spec)
    return (max(round(_NECK_MM / spec.spacing_mm[0] / step), 1) * step, *spec.size[1:])


def covering_grid(scan: Grid, spec: VolumeSpec) -> Grid:
    """An upright box of the network's voxels that holds a scan and at least one window."""
    corners = scan.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    sides = ((high - low)[::-1] / spec.spacing_mm).round(6)
    z, y, x = (max(int(np.ceil(side)), size) for side, size in zip(sides, spec.size, strict=True))
    return Grid.upright((low + high) / 2, (z, y, x), spec.spacing_mm)


def windows(shape: tuple[int, int, int], size: tuple[int, int, int]) -> Iterator[tuple[slice, slice, slice]]:
    """Boxes of one size that cover a larger one, each over half of the next, at most."""
    starts = [_starts(whole, part) for whole, part in zip(shape, size, strict=True)]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield slice(z, z + size[0]), slice(y, y + size[1]), slice(x, x + size[2])


def _window_size(shape: Shape, spec: VolumeSpec) -> Shape:
    """Of the windows over a scan: the network's own, longer along sides that are not much longer."""
    step = _step(spec)
    z, y, x = (-(-side // step) * step if side <= _AT_ONCE * own else own for side, own in zip(shape, spec.size, strict=True))
    return z, y, x


def _step(spec: VolumeSpec) -> int:
    """What a side can be made of that a network which halves its own windows halves as often: the largest power of two in them."""
    return min(side & -side for side in spec.size)


def _starts(whole: int, part: int) -> list[int]:
    count = 1 + int(np.ceil(max(whole - part, 0) / (part * (1 - _OVERLAP))))
    return [int(start) for start in np.unique(np.rint(np.linspace(0, whole - part, count)).astype(int))]


def _weight(size: tuple[int, int, int]) -> NDArray[np.float32]:
    """How much a window counts: most in its middle, where it sees all around."""
    sides = [0.1 + np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in size]
    return np.asarray(np.einsum("z,y,x->zyx", *sides), dtype=np.float32)


def _seen(scan: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Which voxels of a grid have their middle in a scan, as :meth:`cspine.geometry.Grid.contains` has it, axis by axis."""
    steps, inside = np.linalg.inv(scan.affine) @ grid.affine, np.ones(grid.shape, dtype=bool)
    z, y, x = np.ogrid[tuple(slice(side) for side in grid.shape)]
    for (along_z, along_y, along_x, start), side in zip(steps[:3], scan.shape, strict=True):
        place = along_z * z + along_y * y + along_x * x + start
        inside &= (place >= -0.5) & (place <= side - 0.5)
    return inside
