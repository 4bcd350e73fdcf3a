"""Renders a neck as an image: HU, labels and fractures on any grid.

Every voxel's value follows from where it lies; a part of a rendering equals the rendering of that part. Borders of bones, and
fracture lines far thinner than a voxel, are weighed by how much of the voxel they take. Voxels longer than small bones are thick
are computed in parts and averaged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import BACKGROUND
from cspine.geometry import Grid
from cspine.phantoms.ct.bones import BoneImage, index_box, render_bones
from cspine.phantoms.ct.devices import render_device
from cspine.phantoms.ct.limbs import render_limb
from cspine.phantoms.ct.masking import beyond_mask, scaled_grid
from cspine.phantoms.ct.soft_tissue import render_soft_tissue
from cspine.phantoms.model.neck import Disc, Neck
from cspine.phantoms.model.scan_mask import MASKED_HU
from cspine.volume import LabelMap, Volume

_LONGEST_MM = 1.3
"""A longer side of a voxel is divided."""

_SLAB_VOXELS = 1 << 21
"""Voxels, divided ones counted, that are worked on at once."""

_Number = TypeVar("_Number", bound=np.generic)
Factors = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """An image and its truth.

    Attributes:
        volume: HU without noise.
        labels: Which bone each voxel mostly belongs to.
        fracture_mask: Value of the level on the fracture lines of its bone, a millimetre to either side, where there is bone.
    """

    volume: Volume
    labels: LabelMap
    fracture_mask: LabelMap


def render(neck: Neck, grid: Grid) -> Rendering:
    """Returns the image of a neck on a grid.

    Beside the result, memory stays small however large the grid.
    """
    hu, labels, fractures = _render(neck, scaled_grid(grid, 1 / neck.scale))
    if neck.mask is not None:
        gone = beyond_mask(neck, grid)
        hu[gone], labels[gone], fractures[gone] = MASKED_HU, BACKGROUND, BACKGROUND
    return Rendering(Volume(hu, grid), LabelMap(labels, grid), LabelMap(fractures, grid))


def _render(neck: Neck, grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns HU, labels and fracture mask on a grid in the millimetres of the neck's own size."""
    hu = np.empty(grid.shape, np.float32)
    labels, fractures = np.empty(grid.shape, np.uint8), np.empty(grid.shape, np.uint8)
    z, y, x = (max(1, int(np.ceil(side / _LONGEST_MM - 1e-6))) for side in grid.spacing_mm)
    count = max(1, _SLAB_VOXELS // (grid.shape[1] * grid.shape[2] * z * y * x))
    for first in range(0, grid.shape[0], count):
        slab = grid.part((first, 0, 0), (min(count, grid.shape[0] - first), grid.shape[1], grid.shape[2]))
        here = slice(first, first + slab.shape[0])
        bones = _gathered(render_bones(neck, _divided(slab, (z, y, x))), (z, y, x))
        soft = render_soft_tissue(neck.tissue, slab)
        for disc in neck.discs:
            _render_disc(disc, slab, soft)
        for limb in neck.limbs:
            render_limb(limb, slab, soft)
        hu[here] = soft * (1 - bones.share) + bones.density
        for device in neck.hardware:
            render_device(device, slab, hu[here])
        labels[here], fractures[here] = bones.labels, bones.fracture_mask
    return hu, labels, fractures


def _divided(grid: Grid, factors: Factors) -> Grid:
    """Returns the same box in smaller voxels."""
    if factors == (1, 1, 1):
        return grid
    shape = (grid.shape[0] * factors[0], grid.shape[1] * factors[1], grid.shape[2] * factors[2])
    affine = grid.affine.copy()
    affine[:3, :3] /= factors
    affine[:3, 3] = grid.world((np.array((1.0, 1.0, 1.0)) / factors - 1) / 2)
    return Grid(shape, affine)


def _gathered(image: BoneImage, factors: Factors) -> BoneImage:
    """Returns what the parts of each voxel amount to."""
    if factors == (1, 1, 1):
        return image
    share, density = (_mean(array, factors) for array in (image.share, image.density))
    fractures = np.max([*_parts(image.fracture_mask, factors)], axis=0)
    labels = np.zeros(share.shape, np.uint8)
    bony = share >= 0.5
    parts = np.stack([part[bony] for part in _parts(image.labels, factors)], axis=-1)
    found = np.unique(parts)
    if np.any(found):
        votes = np.stack([(parts == label).sum(axis=-1) for label in found if label])
        labels[bony] = found[found > 0][np.argmax(votes, axis=0)] * (votes.max(axis=0) > 0)
    return BoneImage(share, density, labels, fractures)


def _parts(array: NDArray[_Number], factors: Factors) -> Iterator[NDArray[_Number]]:
    """Yields the same part of each voxel, one part after the other."""
    for offset in np.ndindex(factors):
        yield array[tuple(slice(first, None, step) for first, step in zip(offset, factors, strict=True))]


def _mean(array: NDArray[np.float32], factors: Factors) -> NDArray[np.float32]:
    total = sum(_parts(array, factors))
    return np.asarray(total / np.float32(np.prod(factors)), dtype=np.float32)


def _render_disc(disc: Disc, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders a short elliptic cylinder between two bodies; bone is painted over it."""
    axis = disc.high_mm - disc.low_mm
    length = float(np.linalg.norm(axis))
    spare = max(disc.radii_mm) + 3
    corners = np.stack([p + s * spare for p in (disc.low_mm, disc.high_mm) for s in np.indices((2, 2, 2)).reshape(3, 8).T * 2 - 1])
    start, stop = index_box(corners, grid)
    if np.any(stop <= start):
        return
    index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(start, stop, strict=True)), indexing="ij"), axis=-1)
    away = (grid.world(index) - disc.low_mm).astype(np.float32)
    unit = (axis / length).astype(np.float32)
    along = away @ unit
    across = away - along[..., None] * unit
    radius = (np.hypot(across[..., 0] / disc.radii_mm[0], across[..., 1] / disc.radii_mm[1]) - 1) * min(disc.radii_mm)
    outside = np.maximum(radius, np.maximum(-along, along - length))
    share = np.clip(0.5 - outside / max(grid.spacing_mm), 0, 1)
    part = hu[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    part += share * (np.float32(disc.hu) - part)
