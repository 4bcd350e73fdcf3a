"""Sliding-window inference over a whole scan, and inference on one window that holds all of the neck.

A window that holds a part of a neck counts from what it sees, and may be one off; where such windows overlap, borders between
levels end up within vertebrae. So where the neck was found, one window over all of it decides.
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
from cspine.volume import LabelMap, Volume

_BONE_HU = 150.0
_LEAST_BONE_ML = 3.0
"""A window with less bone is skipped."""

_OVERLAP = 0.5
"""Share of a window that the next one covers again."""

_LONGEST_WINDOW = 1.5
"""A side of a scan that is at most this many times a window's is covered by one longer window."""

_NECK_MM = 240.0
"""Height of the window that holds all of a neck, from the skull to the chest."""

_SURELY_NOTHING = 0.995
"""Voxels that are background with more than this probability are not interpolated."""

_SAME = 1e-3
"""Voxels that lie nearer than this, in voxels, coincide."""

ArrayWindow = tuple[slice, slice, slice]
"""A part of an array ``(z, y, x)``."""

_NOTHING = np.eye(VOXEL_CLASSES, dtype=np.float32)[0]


@dataclass(frozen=True, slots=True, eq=False)
class ScanPrediction:
    """The class probabilities of a scan.

    Attributes:
        hu: The scan on the voxels of the network, ``(z, y, x)``.
        probabilities: Background, C1..C7, other vertebra, other bone, of each voxel, ``(z, y, x, 10)``.
        grid: Upright, slices from feet to head.
        seen: Which voxels the scan holds, ``(z, y, x)``.
        one_window: Whether one window no larger than that of a neck covered the scan.
    """

    hu: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    grid: Grid
    seen: NDArray[np.bool_]
    one_window: bool = False

    def hu_in(self, window: Grid) -> NDArray[np.float32]:
        """Returns the HU on the voxels of a window, interpolated; air beyond the scan."""
        return sample(Volume(self.hu, self.grid), window).hu


def predict_scan(volume: Volume, spec: VolumeSpec, session: Session) -> ScanPrediction:
    """Predicts all of a scan, however it is oriented and wherever the neck lies in it.

    Args:
        volume: The scan.
        spec: What the network is fed.
        session: The network; its output ``levels`` is ``(n, z, y, x, 10)``.

    Raises:
        PackageError: The network does not do what it should.
    """
    return predict_region(volume, covering_grid(volume.grid, spec), spec, session)


def predict_region(
    volume: Volume, region: Grid, spec: VolumeSpec, session: Session, wanted: LabelMap | None = None
) -> ScanPrediction:
    """Predicts a region of a scan by a sliding window, or in one window where it is not much larger than that.

    Args:
        volume: The scan.
        region: An upright grid of the network's voxels; one window at least is predicted around its middle.
        spec: What the network is fed.
        session: The network; its output ``levels`` is ``(n, z, y, x, 10)``.
        wanted: Where something is to be found; windows without any of it are skipped. Everywhere if ``None``.

    Raises:
        PackageError: The network does not do what it should.
    """
    size = window_size(region.shape, spec)
    grid = covering_grid(region, replace(spec, size=size))
    hu = sample(volume, grid).hu
    seen = _seen(volume.grid, grid)
    marked = np.ones(grid.shape, bool) if wanted is None else sample(wanted, grid).labels > 0
    predicted = [window for window in sliding_windows(grid.shape, size) if has_bone(hu[window], spec) and marked[window].any()]
    probabilities = (
        predict_window(hu, spec, session) if size == grid.shape and predicted else _blended(predicted, hu, spec, session)
    )
    probabilities[~seen] = _NOTHING
    one_window = size == grid.shape and all(side <= most for side, most in zip(size, neck_shape(spec), strict=True))
    return ScanPrediction(hu, probabilities, grid, seen, one_window)


def has_bone(hu: NDArray[np.float32], spec: VolumeSpec) -> bool:
    """Returns whether a window of the network's voxels holds enough bone to be predicted."""
    return bool(np.count_nonzero(hu > _BONE_HU) * np.prod(spec.spacing_mm) / 1000 >= _LEAST_BONE_ML)


def _blended(parts: Sequence[ArrayWindow], hu: NDArray[np.float32], spec: VolumeSpec, session: Session) -> NDArray[np.float32]:
    """Blends the predictions of overlapping windows, ``(z, y, x, 10)``; a window counts most in its middle."""
    total, blended = np.full(hu.shape, 1e-6, np.float32), np.zeros((*hu.shape, VOXEL_CLASSES), np.float32)
    for window in parts:
        weight = blending_weight(hu[window].shape)
        blended[window] += predict_window(hu[window], spec, session) * weight[..., None]
        total[window] += weight
    blended /= total[..., None]
    blended[..., 0] += np.clip(1 - blended.sum(axis=-1), 0, 1)  # what no window covers is background
    return blended


def holding(prediction: ScanPrediction, window: Grid, volume: Volume) -> ScanPrediction:
    """Returns a prediction of a region that holds a window as far as the scan does; what is added is predicted as background.

    Args:
        prediction: Of a region of a scan.
        window: Where the neck is.
        volume: The scan.
    """
    corners, scan = prediction.grid.index(window.corners_mm()), prediction.grid.index(volume.grid.corners_mm())
    wanted_low = np.floor(np.maximum(corners.min(axis=0), scan.min(axis=0)))  # beyond the scan there is nothing to hold
    wanted_high = np.ceil(np.minimum(corners.max(axis=0), scan.max(axis=0))) + 1
    low = np.minimum(wanted_low, 0).astype(int)
    high = np.maximum(wanted_high, prediction.grid.shape).astype(int)
    z, y, x = (int(side) for side in high - low)
    if (z, y, x) == prediction.grid.shape:
        return prediction
    grid = prediction.grid.part(low, (z, y, x))
    probabilities = np.broadcast_to(_NOTHING, (*grid.shape, VOXEL_CLASSES)).copy()
    probabilities[_box(-low, -low + prediction.grid.shape)] = prediction.probabilities
    return ScanPrediction(sample(volume, grid).hu, probabilities, grid, _seen(volume.grid, grid), prediction.one_window)


def with_window(scan: ScanPrediction, window: Grid, probabilities: NDArray[np.float32]) -> ScanPrediction:
    """Returns a prediction whose neck is replaced by that of one window that holds all of it.

    A scan has one neck: what was called C1..C7 beyond the window is other bone.

    Args:
        scan: The prediction of the scan.
        window: Where the neck is, turned as the neck is; of :func:`cspine.locating.sliding_window.neck_shape`.
        probabilities: The prediction of the window, ``(z, y, x, 10)``.
    """
    merged = scan.probabilities.copy()
    merged[..., OTHER_BONE_CLASS] += merged[..., 1:OTHER_VERTEBRA_CLASS].sum(axis=-1)
    merged[..., 1:OTHER_VERTEBRA_CLASS] = 0
    _put(probabilities, window, merged, scan.grid)
    merged[~scan.seen] = _NOTHING
    return replace(scan, probabilities=merged)


def predict_window(hu: NDArray[np.float32], spec: VolumeSpec, session: Session) -> NDArray[np.float32]:
    """Predicts one window of any height, ``(z, y, x, 10)``.

    Args:
        hu: The voxels of the window, ``(z, y, x)``.
        spec: What the network is fed.
        session: The network.

    Raises:
        PackageError: The network does not do what it should.
    """
    probabilities: NDArray[np.float32] = session.run(windowed(hu, spec.window_hu)[None, ..., None])["levels"][0]
    return probabilities


def with_atlas_from(other: NDArray[np.float32], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns one prediction, but where it or another one finds C1 the other one, ``(z, y, x, 10)``; in the memory of the other."""
    atlas = np.maximum(probabilities[..., Level.C1], other[..., Level.C1])[..., None]
    other -= probabilities
    other *= atlas
    other += probabilities
    return other


def _put(probabilities: NDArray[np.float32], window: Grid, whole: NDArray[np.float32], grid: Grid) -> None:
    """Writes the prediction of a window onto the voxels of a grid that lie in it, interpolated. In place."""
    corners = grid.index(window.corners_mm())
    low, high = np.ceil(corners.min(axis=0)).astype(int), np.floor(corners.max(axis=0)).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, grid.shape)
    first = window.index(grid.world(low))
    if np.allclose(window.affine[:3, :3], grid.affine[:3, :3]) and np.allclose(first, np.rint(first), atol=_SAME):
        start = np.rint(first).astype(int)
        whole[_box(low, high)] = probabilities[_box(start, start + high - low)]
        return
    sides = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3)
    index = window.index(grid.world(places))
    inside = np.all((index >= 0) & (index <= np.array(window.shape) - 1), axis=1)
    places, index = places[inside], index[inside]
    whole[tuple(places.T)] = _NOTHING
    bone = probabilities[tuple(np.rint(index).astype(np.intp).T)][:, 0] < _SURELY_NOTHING
    some, between = tuple(places[bone].T), index[bone].T
    for number in range(VOXEL_CLASSES):
        whole[(*some, number)] = ndimage.map_coordinates(probabilities[..., number], between, order=1)


def _box(low: NDArray[np.intp], high: NDArray[np.intp]) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))


def neck_shape(spec: VolumeSpec) -> Shape:
    """Returns the shape of a window that is as high as a neck."""
    step = _step(spec)
    return (max(round(_NECK_MM / spec.spacing_mm[0] / step), 1) * step, *spec.size[1:])


def covering_grid(scan: Grid, spec: VolumeSpec) -> Grid:
    """Returns an upright grid of the network's voxels that holds a scan and at least one window."""
    corners = scan.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    sides = ((high - low)[::-1] / spec.spacing_mm).round(6)
    z, y, x = (max(int(np.ceil(side)), size) for side, size in zip(sides, spec.size, strict=True))
    return Grid.upright((low + high) / 2, (z, y, x), spec.spacing_mm)


def sliding_windows(shape: Shape, size: Shape, overlap: float = _OVERLAP) -> Iterator[ArrayWindow]:
    """Yields boxes of one size that cover a larger one; neighbours overlap by a share of their sides at least."""
    starts = [_starts(whole, part, overlap) for whole, part in zip(shape, size, strict=True)]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield slice(z, z + size[0]), slice(y, y + size[1]), slice(x, x + size[2])


def window_size(shape: Shape, spec: VolumeSpec) -> Shape:
    """Returns the size of windows over a scan: the network's own, longer along sides that are not much longer."""
    step = _step(spec)
    z, y, x = (
        -(-side // step) * step if side <= _LONGEST_WINDOW * own else own for side, own in zip(shape, spec.size, strict=True)
    )
    return z, y, x


def _step(spec: VolumeSpec) -> int:
    """Returns what sides must be multiples of: the largest power of two in the network's own window."""
    return min(side & -side for side in spec.size)


def _starts(whole: int, part: int, overlap: float) -> list[int]:
    count = 1 + int(np.ceil(max(whole - part, 0) / (part * (1 - overlap))))
    return [int(start) for start in np.unique(np.rint(np.linspace(0, whole - part, count)).astype(int))]


def blending_weight(size: tuple[int, int, int]) -> NDArray[np.float32]:
    """Returns the blending weight of the voxels of a window: most in its middle, where there is context all around."""
    sides = [0.1 + np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in size]
    return np.asarray(np.einsum("z,y,x->zyx", *sides), dtype=np.float32)


def _seen(scan: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Returns which voxels of a grid have their middle in a scan, as :meth:`cspine.geometry.Grid.contains`, axis by axis."""
    steps, inside = np.linalg.inv(scan.affine) @ grid.affine, np.ones(grid.shape, dtype=bool)
    z, y, x = np.ogrid[tuple(slice(side) for side in grid.shape)]
    for (along_z, along_y, along_x, start), side in zip(steps[:3], scan.shape, strict=True):
        place = along_z * z + along_y * y + along_x * x + start
        inside &= (place >= -0.5) & (place <= side - 0.5)
    return inside
