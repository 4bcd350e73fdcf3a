"""Makes the input of a network that separates one vertebra from its neighbours: the same for training and for service."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import BACKGROUND, Level
from cspine.geometry import Grid
from cspine.imaging.windowing import windowed
from cspine.specs import RefinerSpec


def guide_grid(crop: Grid, spec: RefinerSpec) -> Grid:
    """Returns the box of a crop in the coarse voxels that guide."""
    step = spec.guide_step
    shape = (crop.shape[0] // step, crop.shape[1] // step, crop.shape[2] // step)
    affine = crop.affine.copy()
    affine[:3, :3] *= step
    affine[:3, 3] = crop.world(np.full(3, (step - 1) / 2))
    return Grid(shape, affine)


def crop_input(hu: NDArray[np.float32], guide: NDArray[np.uint8], level: int, spec: RefinerSpec) -> NDArray[np.float32]:
    """Returns a crop as the network takes it.

    Args:
        hu: The crop, ``(z, y, x)``.
        guide: As :func:`guided` takes it.
        level: Which vertebra is segmented.
        spec: The input of the network.

    Returns:
        ``(z, y, x, 3)``: the picture, this vertebra, all others; each 0..1.
    """
    return guided(windowed(hu, spec.window_hu), guide, level, spec)


def guided(picture: NDArray[np.float32], guide: NDArray[np.uint8], level: int, spec: RefinerSpec) -> NDArray[np.float32]:
    """Returns a picture, windowed already, with what guides.

    Args:
        picture: The crop in 0..1, ``(z, y, x)``.
        guide: Coarse labels on its :func:`guide_grid`: C1..C7 by their values, any further vertebra as T1.
        level: Which vertebra is segmented.
        spec: The input of the network.

    Returns:
        As :func:`crop_input`.
    """
    own = guide == level
    others = (guide > BACKGROUND) & (guide <= Level.T1) & ~own
    return np.stack([picture, _smooth(own, spec), _smooth(others, spec)], axis=-1)


def _smooth(mask: NDArray[np.bool_], spec: RefinerSpec) -> NDArray[np.float32]:
    """Returns a mask of coarse voxels, blurred, on fine ones."""
    z, y, x = (
        _spread(count, spec.guide_blur_mm / (spec.guide_step * side), spec.guide_step)
        for count, side in zip(mask.shape, spec.spacing_mm, strict=True)
    )
    along_z = np.tensordot(z, mask.astype(np.float32), axes=1)
    return np.asarray(np.matmul(y, along_z) @ x.T)


@cache
def _spread(count: int, sigma: float, step: int) -> NDArray[np.float32]:
    """Returns what coarse voxels along one axis give to each fine one, ``(step * count, count)``: a blur, then between them."""
    blurred = ndimage.gaussian_filter1d(np.eye(count), sigma, axis=0, mode="nearest", truncate=3.0)
    return np.asarray(ndimage.zoom(blurred, (step, 1), order=1, mode="nearest", grid_mode=True), dtype=np.float32)
