"""Alters a scan: kernels, noise, storage, crops, thicker slices, shifted and scaled HU, streaks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.coarse import coarser
from cspine.geometry import Grid, Shape
from cspine.imaging import sample
from cspine.volume import Volume

SOFTER_MM = 0.7
"""Standard deviation of the blur of the softer kernel."""

SHARPER, SHARPER_MM = 1.5, 0.8
"""How much of the detail finer than so many millimetres the sharper kernel adds."""

GRAIN_MM = 0.4
"""Standard deviation of what correlates added noise within slices."""

TURN_DEG = 20.0
BESIDE_MM = 15.0
"""What a narrow crop leaves around the vertebrae."""

STREAKS_HU, STREAKS_MM, IN_FRONT_MM = 150.0, 30.0, 45.0
"""How strong streaks are, over which distance they fade, and how far in front of the highest vertebra they begin: at the teeth."""

_FLOOR_HU = -1024.0
_FLAT_MM = 8.0
_WAVES = 5
_SAME_MM = 0.05

Corners = NDArray[np.float64]
"""Corners of the boxes around the vertebrae of a scan as it is stored, head to feet, LPS millimetres, ``(vertebrae, 8, 3)``."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """A way to alter a scan.

    Attributes:
        name: What the table calls it.
        change: Takes a scan and where its vertebrae are. Returns the altered scan, or ``None`` where that would change nothing or
            leave no scan.
    """

    name: str
    change: Callable[[Volume, Corners], Volume | None]


def as_stored(volume: Volume, corners: Corners) -> Volume:  # noqa: ARG001  # one signature
    """Returns the scan itself."""
    return volume


def softer(volume: Volume, corners: Corners) -> Volume:  # noqa: ARG001
    """Returns a scan as a softer kernel shows it: blurred within its slices."""
    return _with(volume, _smooth(volume.hu, volume.grid, SOFTER_MM))


def sharper(volume: Volume, corners: Corners) -> Volume:  # noqa: ARG001
    """Returns a scan as a sharper kernel shows it: edges and noise within its slices are enhanced."""
    return _with(volume, volume.hu + np.float32(SHARPER) * (volume.hu - _smooth(volume.hu, volume.grid, SHARPER_MM)))


def noisier(volume: Volume, corners: Corners, *, noise_hu: float) -> Volume:  # noqa: ARG001
    """Returns a scan with added noise of a standard deviation, correlated within slices, always the same."""
    white = np.random.default_rng(0).standard_normal(volume.hu.shape, dtype=np.float32)
    noise = _smooth(white, volume.grid, GRAIN_MM)
    return _with(volume, volume.hu + noise * np.float32(noise_hu / noise.std()))


def oblique(volume: Volume, corners: Corners) -> Volume:  # noqa: ARG001
    """Returns a scan whose slices are turned about the axis from ear to ear."""
    grid = volume.grid.canonical()
    affine = grid.affine.copy()
    affine[:3, :3] = Rotation.from_euler("x", TURN_DEG, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return sample(volume, Grid(grid.shape, affine))


def narrow(volume: Volume, corners: Corners) -> Volume | None:
    """Returns the field of view around the vertebrae, over the whole length of the scan."""
    grid = volume.grid.canonical()
    index = grid.index(corners).reshape(-1, 3)
    spare = BESIDE_MM / np.array(grid.spacing_mm)
    low, high = np.floor(index.min(axis=0) - spare), np.ceil(index.max(axis=0) + spare)
    low[0], high[0] = 0, grid.shape[0] - 1
    return _part(volume, grid, low, high)


def short(volume: Volume, corners: Corners) -> Volume | None:
    """Returns the scan from the middle of the highest vertebra to that of the lowest."""
    grid = volume.grid.canonical()
    middles = grid.index(corners.mean(axis=1))[:, 0]
    low, high = np.zeros(3), np.array(grid.shape) - 1.0
    low[0], high[0] = np.rint(middles.min()), np.rint(middles.max())
    return _part(volume, grid, low, high)


def thicker(volume: Volume, corners: Corners, *, slices_mm: float, pixels_mm: float = 0.0) -> Volume | None:  # noqa: ARG001
    """Returns a scan averaged over larger voxels; no side becomes smaller than it is."""
    own = volume.grid.canonical().spacing_mm
    wanted = (max(slices_mm, own[0]), max(pixels_mm, *own[1:])) if pixels_mm else (max(slices_mm, own[0]), 0.0)
    if wanted[0] <= own[0] + _SAME_MM and wanted[1] <= max(own[1:]) + _SAME_MM:
        return None
    return coarser(volume, *wanted)


def offset(volume: Volume, corners: Corners, *, hu: float) -> Volume:  # noqa: ARG001
    """Returns a scan all of whose values are off by as much."""
    return _with(volume, volume.hu + np.float32(hu))


def scaled(volume: Volume, corners: Corners, *, factor: float) -> Volume:  # noqa: ARG001
    """Returns a scan whose values are scaled around water."""
    return _with(volume, volume.hu * np.float32(factor))


def shifted(volume: Volume, corners: Corners) -> Volume:  # noqa: ARG001
    """Returns a scan whose voxels lie half a voxel on along each axis, read between those that there are."""
    z, y, x = (max(side - 1, 1) for side in volume.grid.shape)
    return sample(volume, volume.grid.part((0.5, 0.5, 0.5), (z, y, x)))


def streaked(volume: Volume, corners: Corners) -> Volume:
    """Returns a scan with streaks like those of dental metal, from a point in front of the highest vertebra."""
    rng = np.random.default_rng(0)
    highest = corners.mean(axis=1)[np.argmax(corners.mean(axis=1)[:, 2])]
    phases, counts = rng.uniform(0, 2 * np.pi, _WAVES), rng.integers(5, 25, _WAVES)
    source = highest - (0, IN_FRONT_MM, 0)
    hu = volume.hu.copy()
    for k in range(len(hu)):
        x, y, z = np.moveaxis(_slice_in_world(volume.grid, k) - source, -1, 0)
        near = np.exp(-((z / _FLAT_MM) ** 2)) / (1 + np.hypot(x, y) / STREAKS_MM)
        if near.max() > 1e-3:
            angle = np.arctan2(y, x)
            waves = sum(np.cos(count * angle + phase) for count, phase in zip(counts, phases, strict=True))
            hu[k] += (STREAKS_HU * near * waves).astype(np.float32)
    return _with(volume, hu)


ALTERATIONS = (
    Alteration("as stored", as_stored),
    Alteration("sharper kernel", sharper),
    Alteration("softer kernel", softer),
    *(Alteration(f"noise of {hu} HU added", partial(noisier, noise_hu=hu)) for hu in (20, 40, 60)),
    Alteration(f"oblique by {TURN_DEG:g} degrees", oblique),
    Alteration(f"cropped to {BESIDE_MM:g} mm beside the vertebrae", narrow),
    Alteration("cropped to the middles of the outermost vertebrae", short),
    *(Alteration(f"slices of {mm} mm", partial(thicker, slices_mm=mm)) for mm in (2, 3)),
    Alteration("slices of 3 mm, pixels of 1 mm", partial(thicker, slices_mm=3, pixels_mm=1)),
    *(Alteration(f"{hu:+d} HU", partial(offset, hu=hu)) for hu in (50, -50)),
    *(Alteration(f"HU times {factor}", partial(scaled, factor=factor)) for factor in (0.9, 1.1)),
    Alteration("shifted by half a voxel", shifted),
    Alteration("streaks", streaked),
)
"""All ways; the first changes nothing."""


def _with(volume: Volume, hu: NDArray[np.float32]) -> Volume:
    """Returns other values on the same grid, none below what files hold."""
    return Volume(np.maximum(hu, np.float32(_FLOOR_HU)).astype(np.float32), volume.grid)


def _smooth(values: NDArray[np.float32], grid: Grid, sigma_mm: float) -> NDArray[np.float32]:
    """Returns values blurred within slices."""
    sigma = [0.0, *(sigma_mm / side for side in grid.spacing_mm[1:])]
    return np.asarray(ndimage.gaussian_filter(values, sigma, mode="nearest"), dtype=np.float32)


def _part(volume: Volume, grid: Grid, low: NDArray[np.float64], high: NDArray[np.float64]) -> Volume | None:
    """Returns the voxels of ``grid`` from one index to another, both included, where the scan has them."""
    first = np.clip(low, 0, None).astype(int)
    z, y, x = (np.minimum(high, np.array(grid.shape) - 1).astype(int) - first + 1).tolist()
    shape: Shape = (z, y, x)
    if min(shape) < 2 or shape == grid.shape:
        return None
    return sample(volume, grid.part(first, shape))


def _slice_in_world(grid: Grid, k: int) -> NDArray[np.float64]:
    """Returns where the voxels of a slice lie, ``(rows, columns, 3)``."""
    _, rows, columns = grid.shape
    step_z, step_y, step_x = grid.affine[:3, :3].T
    rest = np.arange(rows)[:, None, None] * step_y + np.arange(columns)[None, :, None] * step_x
    return np.asarray(rest + grid.affine[:3, 3] + k * step_z, dtype=np.float64)
