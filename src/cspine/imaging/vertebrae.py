"""Makes what a vertebra classifier is fed: the same for training and for service."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Grid, Vector
from cspine.imaging.windowing import windowed
from cspine.specs import FRACTURE_CELL, MASK_STEP, VertebraSpec

STEPS = 255
"""Crops are kept in so many steps of grey, far finer than noise; the service rounds alike."""

_LEAST = 0.02
"""Cells of which the vertebra has less are not its own."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Describes how a crop lies around a vertebra.

    Attributes:
        centre_mm: Its middle, LPS ``(x, y, z)``.
        axis: Unit vector along the spine, towards the head, LPS.
        height_mm: Of the vertebra, along it.
    """

    centre_mm: Vector
    axis: Vector
    height_mm: float


def vertebra_grid(pose: Pose, spec: VertebraSpec, spare: tuple[int, int, int] = (0, 0, 0)) -> Grid:
    """Returns the slices of a crop, feet to head: across the spine, columns to the patient's left.

    Args:
        pose: Where.
        spec: What the network sees.
        spare: Slices, rows and columns that are added on either side.
    """
    z, y, x = (side + 2 * more for side, more in zip((spec.depth, *spec.size), spare, strict=True))
    grid = Grid.upright(pose.centre_mm, (z, y, x), spec.spacing_mm)
    return replace(grid, affine=_turned(grid, frame(pose.axis)).affine)


def frame(axis: Vector) -> NDArray[np.float64]:
    """Returns unit vectors along the spine, to the back and to the left, ``(3, 3)``, one a column."""
    up = np.asarray(axis, dtype=np.float64)
    left = np.array([1.0, 0.0, 0.0]) - up[0] * up
    left /= np.linalg.norm(left)
    return np.stack([up, np.cross(up, left), left], axis=1)


def _turned(grid: Grid, axes: NDArray[np.float64]) -> Grid:
    """Returns the same box of voxels around the same middle, along other axes."""
    affine = np.eye(4)
    affine[:3, :3] = axes * np.asarray(grid.spacing_mm)
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.asarray(grid.shape) - 1) / 2)
    return replace(grid, affine=affine)


def mask_grid(crop: Grid) -> Grid:
    """Returns the slices of a crop in the larger pixels of its mask."""
    z, y, x = crop.shape
    affine = crop.affine.copy()
    affine[:3, 1:3] *= MASK_STEP
    affine[:3, 3] = crop.world((0, (MASK_STEP - 1) / 2, (MASK_STEP - 1) / 2))
    return replace(crop, shape=(z, y // MASK_STEP, x // MASK_STEP), affine=affine)


def greyed(hu: NDArray[np.floating], spec: VertebraSpec) -> NDArray[np.uint8]:
    """Returns Hounsfield units as the network sees them, in :data:`STEPS` of grey."""
    return np.rint(windowed(hu, spec.window_hu) * STEPS).astype(np.uint8)


def classified_slices(height_mm: float, spec: VertebraSpec, raised: int = 0) -> NDArray[np.intp]:
    """Returns which of the slices of a crop are chosen, ``(slices,)``: evenly over the height of its vertebra, and a little more.

    Args:
        height_mm: Of the vertebra.
        spec: What the network sees.
        raised: By how many slices all of them lie nearer the head, as far as the crop goes.
    """
    most = (spec.depth - 1 - 2 * spec.neighbours) / max(spec.slices - 1, 1)
    pitch = np.clip((height_mm + spec.margin_mm) / spec.slices / spec.spacing_mm[0], 1.0, most)
    places = (spec.depth - 1) / 2 + (np.arange(spec.slices) - (spec.slices - 1) / 2) * pitch
    first, last = spec.neighbours, spec.depth - 1 - spec.neighbours
    return np.asarray(np.clip(np.floor(places + 0.5) + raised, first, last), dtype=np.intp)


def vertebra_input(
    grey: NDArray[np.uint8],
    mask: NDArray[np.float32],
    chosen: NDArray[np.intp],
    spec: VertebraSpec,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Returns a crop as the network takes it.

    Args:
        grey: Of :func:`greyed`, ``(depth, rows, columns)``.
        mask: Of :func:`smooth_mask`, ``(depth, rows / 2, columns / 2)``.
        chosen: Of :func:`classified_slices`, ``(slices,)``.
        spec: What the network sees.
        out: Where it is put, if it has a place already.

    Returns:
        ``(slices, rows, columns, channels)``: slices feet to head and the mask, 0..1.
    """
    out = np.empty((spec.slices, *spec.size, spec.channels), np.float32) if out is None else out
    for slice_, place in zip(out, chosen, strict=True):  # one after the other, as a slice stays in the processor's cache
        for channel, beside in enumerate(range(-spec.neighbours, spec.neighbours + 1)):
            np.divide(grey[place + beside], np.float32(STEPS), out=slice_[..., channel])
        slice_[..., -1] = mask[place].repeat(MASK_STEP, axis=0).repeat(MASK_STEP, axis=1) if spec.masked else 1.0
    return out


def smooth_mask(mask: NDArray[np.bool_], spec: VertebraSpec) -> NDArray[np.float32]:
    """Returns a mask on its :func:`mask_grid` whose border says no more than roughly where it is, 0..1."""
    z, y, x = spec.spacing_mm
    sigma = [spec.mask_blur_mm / side for side in (z, MASK_STEP * y, MASK_STEP * x)]
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest", truncate=2.5), dtype=np.float32)


def cell_grid(crop: Grid, chosen: NDArray[np.intp]) -> Grid:
    """Returns where the cells of the slices that are chosen lie; slices are as far apart as they are on average."""
    affine = crop.affine.copy()
    affine[:3, 0] *= (chosen[-1] - chosen[0]) / (len(chosen) - 1) if len(chosen) > 1 else 1
    affine[:3, 1:3] *= FRACTURE_CELL
    affine[:3, 3] = crop.world((chosen[0], (FRACTURE_CELL - 1) / 2, (FRACTURE_CELL - 1) / 2))
    return replace(crop, shape=(len(chosen), crop.shape[1] // FRACTURE_CELL, crop.shape[2] // FRACTURE_CELL), affine=affine)


def own_cells(crop: NDArray[np.float32], spec: VertebraSpec) -> NDArray[np.bool_]:
    """Returns which cells of a crop ``(slices, rows, columns, channels)`` hold some of the vertebra, or lie beside such.

    Returns:
        ``(slices, rows / 8, columns / 8)``.
    """
    cell = FRACTURE_CELL
    count, rows, columns, _ = crop.shape
    share = crop[..., -1].reshape(count, rows // cell, cell, columns // cell, cell).mean(axis=(2, 4))
    if spec.neighbour_weight:
        share = np.maximum(share, spec.neighbour_weight * ndimage.maximum_filter(share, (1, 3, 3), mode="constant"))
    return np.asarray(share >= _LEAST)
