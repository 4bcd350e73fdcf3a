"""Turns the outline of a real vertebra into a bone with a frame and sites, as the generator of fractures takes it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cspine.anatomy import Level
from cspine.errors import AnatomyError
from cspine.geometry import Vector
from cspine.imaging.vertebrae import frame
from cspine.phantoms.meshes.anatomy import Body, BoneShape
from cspine.phantoms.meshes.landmarks import Solid, find_frame, measure
from cspine.phantoms.model.injuries import Sites, find_sites
from cspine.phantoms.model.shapes import Points
from cspine.volume import LabelMap

_VOXEL_MM = 0.6
_STEP_MM = 5.0 / 127
"""Distances are kept as far as 5 mm, as those of anatomies are."""

_SPARE_MM = 6.0
_COARSE_MM = 2.0
_TURNS_DEG, _LEANS_DEG = np.arange(-36.0, 37.0, 4.0), np.arange(-16.0, 17.0, 4.0)
_LEAST_SYMMETRY = 0.5
"""Share of an outline that its mirror image covers at least: less is no outline of a vertebra."""

_FEWEST_VOXELS = 60


@dataclass(frozen=True, slots=True, eq=False)
class RealBone:
    """Holds a real vertebra in a frame of its own: x to the left, y to the back, z to the head.

    Attributes:
        level: Which one.
        origin_mm: Its origin, the middle of its body, in the world, LPS ``(3,)``.
        axes: Its axes as columns, ``(3, 3)``.
        shape: Its outline as a signed distance.
        sites: Where its parts lie.
    """

    level: Level
    origin_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    shape: BoneShape
    sites: Sites

    def own(self, world_mm: NDArray[np.float64]) -> Points:
        """Returns world points ``(n, 3)`` in the bone's frame, ``(3, n)``."""
        return np.asarray(self.axes.T @ (world_mm - self.origin_mm).T, dtype=np.float32)

    def world(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns points ``(3, ...)`` of the bone's frame in the world, ``(..., 3)``."""
        flat = self.axes @ np.asarray(points, dtype=np.float64).reshape(3, -1) + self.origin_mm[:, None]
        return np.moveaxis(flat.reshape(points.shape), 0, -1)


def outline_bone(mask: LabelMap, level: Level, axis: Vector) -> RealBone:
    """Returns a vertebra of a mask in its own frame.

    Args:
        mask: Holds the level by its value; on any grid.
        level: Which vertebra.
        axis: Unit vector along the spine at its height, towards the head, LPS.

    Raises:
        AnatomyError: The outline is not that of one vertebra: it is too small, lopsided, or shows no canal.
    """
    index = np.argwhere(mask.labels == level)
    if len(index) < _FEWEST_VOXELS:
        raise AnatomyError(f"{level.name} needs an outline of at least {_FEWEST_VOXELS} voxels. It has {len(index)}.")
    places = mask.grid.world(index)
    axes, alike = upright_axes(places, axis)
    if alike < _LEAST_SYMMETRY:
        raise AnatomyError(f"{level.name} needs two sides that are alike. Its outline covers {alike:.0%} of its mirror image.")
    middle = axes @ np.mean(np.percentile(places @ axes, (1, 99), axis=0), axis=0)
    turned = find_frame(_solid(mask, level, places, axes, middle), level)
    origin, axes = middle + axes @ turned[:3, 3], axes @ turned[:3, :3]
    solid = _solid(mask, level, places, axes, origin)
    shape = _shape(solid, measure(solid, level))
    return RealBone(level, origin, axes, shape, find_sites(level, shape))


def upright_axes(places: NDArray[np.float64], axis: Vector) -> tuple[NDArray[np.float64], float]:
    """Returns axes to the left, the back and the head, turned so that left and right are as alike as can be.

    Args:
        places: Points of a vertebra, ``(n, 3)`` in LPS millimetres.
        axis: Unit vector along the spine at its height, towards the head, LPS.

    Returns:
        The axes as columns, ``(3, 3)``, and which share of the points its mirror image covers.
    """
    up, back, left = frame(axis).T
    straight = np.stack([left, back, up], axis=1)
    best, most = straight, 0.0
    for turn in _TURNS_DEG:
        for lean in _LEANS_DEG:
            axes = straight @ Rotation.from_euler("zy", (turn, lean), degrees=True).as_matrix()
            alike = _symmetry(places @ axes)
            if alike > most + 1e-9:
                best, most = axes, alike
    return best, most


def _symmetry(points: NDArray[np.float64]) -> float:
    """Returns which share of the points ``(n, 3)`` has a neighbour where its mirror image lies."""
    x = points[:, 0] - np.mean(np.percentile(points[:, 0], (1, 99)))
    cells = np.round(np.column_stack([x, points[:, 1:] - points[:, 1:].min(axis=0)]) / _COARSE_MM).astype(np.int64)
    half = int(np.abs(cells[:, 0]).max())
    y, z = cells[:, 1], cells[:, 2]
    row = (y * (z.max() + 1) + z) * (2 * half + 1) + half
    filled = np.unique(row + cells[:, 0])
    return float(np.isin(row - cells[:, 0], filled).mean())


def _solid(
    mask: LabelMap, level: Level, places: NDArray[np.float64], axes: NDArray[np.float64], origin_mm: NDArray[np.float64]
) -> Solid:
    """Returns the outline on a lattice along some axes, smooth between voxels."""
    own = (places - origin_mm) @ axes
    low, high = own.min(axis=0) - _SPARE_MM, own.max(axis=0) + _SPARE_MM
    counts = np.ceil((high - low) / _VOXEL_MM).astype(int) + 1
    z, y, x = (low[a] + _VOXEL_MM * np.arange(counts[a]) for a in (2, 1, 0))
    points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1)
    index = mask.grid.index(points @ axes.T + origin_mm)
    box = [slice(max(int(np.floor(side.min())) - 2, 0), int(np.ceil(side.max())) + 3) for side in np.moveaxis(index, -1, 0)]
    part = (mask.labels[tuple(box)] == level).astype(np.float32)
    smooth = ndimage.gaussian_filter(part, 0.6, mode="constant")
    near = np.moveaxis(index - [side.start for side in box], -1, 0)
    inside = ndimage.map_coordinates(smooth, near, np.float32, order=1, mode="constant") > 0.45
    numbered, count = ndimage.label(inside)
    if count > 1:
        sizes = np.bincount(numbered.ravel())
        sizes[0] = 0
        inside = numbered == int(np.argmax(sizes))
    return Solid(inside, (float(low[0]), float(low[1]), float(low[2])), _VOXEL_MM)


def _shape(solid: Solid, body: Body) -> BoneShape:
    outside = ndimage.distance_transform_edt(~solid.inside, sampling=solid.spacing_mm)
    within = ndimage.distance_transform_edt(solid.inside, sampling=solid.spacing_mm)
    signed = np.where(solid.inside, -(within - solid.spacing_mm / 2), outside - solid.spacing_mm / 2)
    steps = np.clip(np.round(signed / _STEP_MM), -127, 127).astype(np.int8)
    return BoneShape(steps, _STEP_MM, solid.first_mm, solid.spacing_mm, np.eye(4), body)
