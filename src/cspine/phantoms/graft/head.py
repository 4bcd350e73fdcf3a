"""Moves what a fractured dens carries along: the atlas and the head go where it goes, soft tissue between gives way.

As in phantoms (:mod:`cspine.phantoms.model.head_displacement`), here in the voxels of a scan.
"""

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.phantoms.graft.compositing import fine, variance_left
from cspine.phantoms.graft.image_quality import ImageQuality
from cspine.phantoms.graft.outlining import RealBone
from cspine.phantoms.model.injuries import Fracture
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.injuries.pieces import Motion
from cspine.volume import LabelMap, Volume

CARRYING = frozenset({"odontoid_type_2", "odontoid_type_3"})
_COARSE_MM = 3.0
_BONE_HU = 250.0
_STAYS_MM, _GIVES_MM = 30.0, 12.0
"""Distances below the middle of C2: below the first all stays, and above the second soft tissue gives way freely."""

_LEAST = 0.01
_SLAB = 24
_SPARE = 8
_TILE = (40, 120, 120)
"""Voxels of noise that are laid side by side."""

_Number = TypeVar("_Number", np.float32, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class HeadMotion:
    """Describes how a head goes with a dens.

    Attributes:
        bone: C2.
        motion: Of the dens, in the frame of C2.
        weight: How much each place takes part, 0..1; on coarse voxels of the scan.
    """

    bone: RealBone
    motion: Motion
    weight: Volume = field(repr=False)

    @classmethod
    def of(cls, fracture: Fracture, bone: RealBone, volume: Volume, mask: LabelMap) -> "HeadMotion | None":
        """Returns how the head goes with a fracture; ``None`` where the fracture carries nothing."""
        if fracture.facts.kind not in CARRYING or fracture.motions[0].at_rest:
            return None
        return cls(bone, fracture.motions[0], _weight(fracture, bone, volume, mask))

    def weights(self, grid: Grid) -> NDArray[np.float32]:
        """Returns how much each voxel of a part of the scan takes part."""
        found = sample(self.weight, grid, fill=0).hu
        found[found < _LEAST] = 0
        return found

    def place(self, world_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns where points ``(n, 3)`` that go with the dens are now."""
        own = np.asarray(self.bone.own(world_mm), dtype=np.float64)
        far = Motion(self.motion.pivot_mm, vector(-np.asarray(self.motion.turn_deg)))
        return self.bone.world(far.undo(own.astype(np.float32)) + np.asarray(self.motion.shift_mm)[:, None])

    def back(self, grid: Grid, weights: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Returns which voxels of a grid take part, flat, and the fractional indices where what is there was, ``(3, n)``."""
        near = np.flatnonzero(weights)
        index = np.stack(np.unravel_index(near, weights.shape), axis=1).astype(np.float64)
        world = grid.world(index)
        was = self.bone.world(self.motion.undo(self.bone.own(world)))
        return near, grid.index(world + weights.ravel()[near][:, None] * (was - world)).T


def move_head(
    head: HeadMotion, hu: NDArray[np.float32], grid: Grid, quality: ImageQuality, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Returns a scan with the head moved, slab by slab; elsewhere it is as it was.

    Args:
        head: How it moves.
        hu: The scan, ``(z, y, x)``.
        grid: Where it lies.
        quality: How the scan shows things.
        rng: Samples the noise that interpolation takes.
    """
    out = hu.copy()
    noise = fine(quality.noise.sample(_TILE, rng)) * quality.noise.std_hu
    for first, weights, low, high in _slabs(head, grid):
        part = grid.part((low, 0, 0), (high - low, *grid.shape[1:]))
        placed = np.zeros(part.shape, np.float32)
        placed[first - low : first - low + len(weights)] = weights
        near, at = head.back(part, placed)
        if not len(near):
            continue
        coefficients = ndimage.spline_filter(hu[low:high], 3, output=np.float32)
        moved = ndimage.map_coordinates(coefficients, at, np.float32, order=3, prefilter=False, mode="nearest")
        z, y, x = np.unravel_index(near, part.shape)
        lost = noise[(z + low) % _TILE[0], y % _TILE[1], x % _TILE[2]]
        moved += lost * np.sqrt(1 - variance_left(at, quality))
        out[low:high].reshape(-1)[near] = moved
    return out


def move_labels(head: HeadMotion, labels: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """Returns labels with the head moved, slab by slab."""
    out = labels.copy()
    for first, weights, low, high in _slabs(head, grid):
        part = grid.part((low, 0, 0), (high - low, *grid.shape[1:]))
        placed = np.zeros(part.shape, np.float32)
        placed[first - low : first - low + len(weights)] = weights
        near, at = head.back(part, placed)
        if len(near):
            out[low:high].reshape(-1)[near] = ndimage.map_coordinates(labels[low:high], at, order=0, mode="nearest")
    return out


def _slabs(head: HeadMotion, grid: Grid) -> list[tuple[int, NDArray[np.float32], int, int]]:
    """Returns slabs of slices that take part: the first slice, the weights, and the slices that are needed for them."""
    far = float(np.linalg.norm(head.motion.shift_mm)) + 0.35 * 200 * np.deg2rad(float(np.linalg.norm(head.motion.turn_deg)))
    spare = int(np.ceil(far / grid.spacing_mm[0])) + _SPARE
    found = []
    for first in range(0, grid.shape[0], _SLAB):
        count = min(_SLAB, grid.shape[0] - first)
        weights = head.weights(grid.part((first, 0, 0), (count, *grid.shape[1:])))
        if weights.any():
            found.append((first, weights, max(first - spare, 0), min(first + count + spare, grid.shape[0])))
    return found


def _weight(fracture: Fracture, bone: RealBone, volume: Volume, mask: LabelMap) -> Volume:
    """Returns how much each place goes with the dens: bones above wholly, bones below not at all, soft tissue in between."""
    steps = [max(1, round(_COARSE_MM / side)) for side in volume.grid.spacing_mm]
    vertebrae = np.where(mask.labels <= Level.T1, mask.labels, 0).astype(np.uint8)
    hu, labels = _blocks(volume.hu, steps), _blocks(vertebrae, steps)
    affine = volume.grid.affine.copy()
    affine[:3, :3] *= steps
    affine[:3, 3] = volume.grid.world((np.asarray(steps) - 1) / 2)
    grid = Grid((hu.shape[0], hu.shape[1], hu.shape[2]), affine)
    points = bone.own(grid.world(np.moveaxis(np.indices(hu.shape), 0, -1).reshape(-1, 3)))
    fragment = fracture.parts(points, 0.0)[1].reshape(hu.shape)
    height = points[2].reshape(hu.shape)
    axis = labels == Level.C2
    subaxial = (labels > Level.C2) & (labels <= Level.T1)
    loose = (labels == Level.C1) | ((hu > _BONE_HU) & ~axis & ~subaxial & (height > float(fracture.facts.site_mm[2])))
    carried, staying = loose | (axis & fragment), subaxial | (axis & ~fragment)
    near, far = (ndimage.distance_transform_edt(~where, sampling=grid.spacing_mm) for where in (staying, carried))
    weight = near / np.maximum(near + far, 1e-6)
    ramp = np.clip((height + _STAYS_MM) / (_STAYS_MM - _GIVES_MM), 0, 1)
    smooth = ndimage.gaussian_filter(weight * ramp**2 * (3 - 2 * ramp), 0.7, mode="nearest")
    return Volume(np.asarray(smooth, dtype=np.float32), grid)


def _blocks(array: NDArray[_Number], steps: list[int]) -> NDArray[_Number]:
    """Returns the largest value of each block of voxels."""
    for axis, step in enumerate(steps):
        array = np.maximum.reduceat(array, np.arange(0, array.shape[axis], step), axis=axis)
    return array
