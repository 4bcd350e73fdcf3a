"""What a network that tells one vertebra from its neighbours is fed: the same for training and for service."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import BACKGROUND, Level
from cspine.geometry import Grid
from cspine.imaging.sampling import sample
from cspine.imaging.windowing import windowed
from cspine.specs import RefinerSpec
from cspine.volume import Volume

_SPARE = 2
"""Voxels around a part of a scan that its border depends on, at most, and those that one coarse voxel averages."""


def guide_grid(crop: Grid, spec: RefinerSpec) -> Grid:
    """The box of a crop in the coarse voxels that guide."""
    step = spec.guide_step
    shape = (crop.shape[0] // step, crop.shape[1] // step, crop.shape[2] // step)
    affine = crop.affine.copy()
    affine[:3, :3] *= step
    affine[:3, 3] = crop.world(np.full(3, (step - 1) / 2))
    return Grid(shape, affine)


def crop_input(hu: NDArray[np.float32], guide: NDArray[np.uint8], level: int, spec: RefinerSpec) -> NDArray[np.float32]:
    """A crop as the network takes it.

    Args:
        hu: The crop, ``(z, y, x)``.
        guide: As :func:`guided` takes it.
        level: Which vertebra is asked for.
        spec: The input of the network.

    Returns:
        ``(z, y, x, 3)``: the picture, this vertebra, all others; each 0..1.
    """
    return guided(windowed(hu, spec.window_hu), guide, level, spec)


def guided(picture: NDArray[np.float32], guide: NDArray[np.uint8], level: int, spec: RefinerSpec) -> NDArray[np.float32]:
    """A picture, windowed already, with what guides.

    Args:
        picture: The crop in 0..1, ``(z, y, x)``.
        guide: Coarse labels on its :func:`guide_grid`: C1..C7 by their values, any further vertebra as T1.
        level: Which vertebra is asked for.
        spec: The input of the network.

    Returns:
        As :func:`crop_input`.
    """
    own = guide == level
    others = (guide > BACKGROUND) & (guide <= Level.T1) & ~own
    return np.stack([picture, _smooth(own, spec), _smooth(others, spec)], axis=-1)


def _smooth(mask: NDArray[np.bool_], spec: RefinerSpec) -> NDArray[np.float32]:
    sigma = [spec.guide_blur_mm / (spec.guide_step * side) for side in spec.spacing_mm]
    soft = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest", truncate=3.0)
    return np.asarray(ndimage.zoom(soft, spec.guide_step, order=1, mode="nearest", grid_mode=True), dtype=np.float32)


def cut(volume: Volume, grid: Grid) -> Volume:
    """A part of a scan on another grid, as :func:`cspine.imaging.sample` has it; what lies far from it is not touched."""
    index = volume.grid.index(grid.corners_mm())
    spare = _SPARE + np.ceil(max(grid.spacing_mm) / np.asarray(volume.grid.spacing_mm))
    low = np.clip(np.floor(index.min(axis=0) - spare), 0, np.asarray(volume.grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + spare) + 1, low + 1, volume.grid.shape).astype(int)
    z, y, x = (slice(a, b) for a, b in zip(low, high, strict=True))
    hu = volume.hu[z, y, x]
    return sample(Volume(hu, volume.grid.part(low, hu.shape)), grid)
