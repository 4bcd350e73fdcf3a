"""Soft tissue of arms and hands, where nothing of the body is."""

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.phantoms.ct.voxel_box import VoxelBox
from cspine.phantoms.model.limbs import Limb, LimbPart
from cspine.phantoms.model.shapes import Field, Points
from cspine.phantoms.model.texture import value_noise

_AIR_BELOW_HU = -500.0
_FAT_HU = -100.0
_SKIN_MM, _SKIN_HU = 1.8, 15.0


def render_limb(limb: Limb, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders a limb's soft tissue where there is air, in place.

    Args:
        limb: The limb.
        grid: Where the voxels lie.
        hu: HU on ``grid``, ``(z, y, x)``.
    """
    ends = np.array([place for part in limb.parts for place in (part.start_mm, part.end_mm)])
    reach = max(max(part.radii_mm) for part in limb.parts) + max(grid.spacing_mm)
    box = VoxelBox.around(grid, ends.min(axis=0) - reach, ends.max(axis=0) + reach)
    if box is None:
        return
    points = box.points()
    depth = np.min([_outside(part, points) for part in limb.parts], axis=0)
    within = np.flatnonzero(depth.ravel() < max(grid.spacing_mm) / 2)
    if not len(within):
        return
    depth, here = depth.ravel()[within], hu[box.slices].reshape(-1)[within]
    muscle = limb.muscle_hu + 8 * value_noise(points.reshape(3, -1)[:, within], 5.0, 3)
    fat = np.clip(0.5 + (depth + limb.fat_mm) / 2, 0, 1)
    tissue = np.where(depth > -_SKIN_MM, _SKIN_HU, muscle + fat * (_FAT_HU - muscle))
    share = np.clip(0.5 - depth / max(grid.spacing_mm), 0, 1)
    mixed = np.where(here < _AIR_BELOW_HU, here + share * (tissue - here), here)
    part = hu[box.slices]
    part[np.unravel_index(within, part.shape)] = mixed


def _outside(part: LimbPart, points: Points) -> Field:
    """Approximates the signed distance to a tapering rod with round ends."""
    start, end = (np.asarray(place, dtype=np.float32).reshape(3, 1, 1, 1) for place in (part.start_mm, part.end_mm))
    axis = end - start
    share = np.clip(np.sum((points - start) * axis, axis=0) / np.sum(axis * axis), 0, 1)
    away = np.sqrt(np.sum((points - start - share * axis) ** 2, axis=0))
    return np.asarray(away - (part.radii_mm[0] + share * (part.radii_mm[1] - part.radii_mm[0])), dtype=np.float32)
