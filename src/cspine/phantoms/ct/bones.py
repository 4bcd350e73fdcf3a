"""Bones on a small box of voxels: which part of each voxel is bone, how dense, of which bone.

Only voxels near a bone are worked on. Where two bones meet, half a joint space is taken from each, so that facets and the atlas
about the dens stay apart however the neck bends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Grid, Shape
from cspine.phantoms.model.neck import Material, Neck, PlacedBone
from cspine.phantoms.model.shapes import Field, Points
from cspine.phantoms.model.texture import value_noise

_GAP_HU = 45.0
"""What fills a fracture line: blood."""

_SEEN_MM = 1.0
"""A fracture mask reaches this far on either side of its fracture line."""

_BLOCK_MM = 1.5
_KNOWN_MM = 4.95
"""Stored distances are cut off at 5 mm."""

_BEND = 1.35
"""A warp and a bone's own scale may shorten distances by this factor."""

_PATCH_MM = 2.5
"""Compact bone is denser or thinner over this distance."""


@dataclass(frozen=True, slots=True, eq=False)
class BoneImage:
    """Bones on a grid.

    Attributes:
        share: How much of each voxel is bone or fracture line, 0..1.
        density: HU of that part times the share.
        labels: The bone that has at least half of the voxel.
        fracture_mask: Level of the fracture line within a millimetre.
    """

    share: NDArray[np.float32]
    density: NDArray[np.float32]
    labels: NDArray[np.uint8]
    fracture_mask: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """The voxels near one bone.

    Attributes:
        bone: The bone.
        index: Which voxels, flat, ``(n,)``.
        points: Their middles in the bone's frame, ``(3, n)``.
        distance: To its surface, in world mm, ``(n,)``.
    """

    bone: PlacedBone
    index: NDArray[np.intp]
    points: Points
    distance: Field


def render_bones(neck: Neck, grid: Grid) -> BoneImage:
    """Renders all bones of a neck on a grid that is small enough to be worked on at once."""
    shape = grid.shape
    image = BoneImage(
        np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    )
    near = [found for bone in neck.bones if (found := _near(bone, grid, neck.joint_mm)) is not None]
    if not near:
        return image
    owner, room = _borders(neck, near, grid.shape)
    for number, found in enumerate(near):
        mine = np.flatnonzero(owner.ravel()[found.index] == number)
        _render(found, mine, room.ravel()[found.index[mine]], grid, image)
    return image


def _near(bone: PlacedBone, grid: Grid, joint_mm: float) -> _Near | None:
    low, high = index_box(bone.box_mm(), grid)
    if np.any(high <= low):
        return None
    edges = bone.pose.own_matrix @ grid.affine[:3, :3]
    reach = float(np.linalg.norm(np.abs(edges).sum(axis=1))) / 2 + joint_mm / float(bone.pose.size.mean())
    blocks = np.maximum(2, np.floor(_BLOCK_MM / np.asarray(grid.spacing_mm))).astype(np.intp)
    counts = -(-(high - low) // blocks)
    middles = [low[a] + blocks[a] * np.arange(counts[a]) + (blocks[a] - 1) / 2 for a in range(3)]
    radius = float(np.linalg.norm(np.abs(edges) @ ((blocks - 1) / 2)))
    kept = bone.distance(_own_points(bone, grid, middles)) <= min(reach + _BEND * bone.steepness * radius, _KNOWN_MM)
    if bone.injuries:  # a block may lie across a fracture line, its middle on the other side
        kept = ndimage.binary_dilation(kept, np.ones((3, 3, 3), np.bool_))
    if not kept.any():
        return None
    index, points = _listed(bone, grid, low + np.argwhere(kept) * blocks, blocks, high)
    size = np.float32(bone.pose.size.mean())
    distance = bone.distance(points) * size
    close = np.flatnonzero(distance <= reach * size)
    if not len(close):
        return None
    return _Near(bone, index[close], points[:, close], distance[close])


def _borders(neck: Neck, near: Sequence[_Near], shape: Shape) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Returns for each voxel the nearest bone, and how far outside that bone a joint space makes it at least."""
    size = int(np.prod(shape))
    first, second = np.full(size, np.inf, np.float32), np.full(size, np.inf, np.float32)
    owner, other = np.full(size, -1, np.int16), np.full(size, -1, np.int16)
    for number, found in enumerate(near):
        at, distance = found.index, found.distance
        best, next_best = first[at], second[at]
        wins = distance < best
        runs_up = ~wins & (distance < next_best)
        other[at] = np.where(wins, owner[at], np.where(runs_up, number, other[at]))
        second[at] = np.where(wins, best, np.where(runs_up, distance, next_best))
        owner[at] = np.where(wins, number, owner[at])
        first[at] = np.where(wins, distance, best)
    meets = np.flatnonzero(other >= 0)
    room = np.full(size, -np.inf, np.float32)
    # half the difference is about the distance to the surface midway between the two
    room[meets] = np.float32(neck.joint_mm / 2) - (second[meets] - first[meets]) / 2
    for pair in neck.fused:
        grown = np.array([found.bone.name in pair for found in near])
        room[meets[grown[owner[meets]] & grown[other[meets]]]] = -np.inf
    return owner.reshape(shape), room.reshape(shape)


def _render(found: _Near, mine: NDArray[np.intp], room: Field, grid: Grid, image: BoneImage) -> None:
    """Renders one bone, in the voxels that are nearest to it."""
    bone = found.bone
    edges = (bone.pose.own_matrix @ grid.affine[:3, :3]).astype(np.float32)
    size = np.float32(bone.pose.size.mean())
    distance = np.maximum(found.distance[mine], room)
    points = found.points[:, mine]
    width = np.maximum(bone.shape.width(bone.at_rest(points), edges) * size, np.float32(0.05))
    share = np.clip(0.5 - distance / width, 0, 1)
    touched = np.flatnonzero(share > 0)
    if not len(touched):
        return
    at, points, share = found.index[mine[touched]], points[:, touched], share[touched]
    density = _density(bone, bone.before(points), distance[touched], width[touched], share)
    fractured_share = np.zeros(len(at), np.float32)
    for injury in bone.injuries:
        density = injury.density(points, density)
        line = injury.fracture_line(points, edges)
        fractured_share = np.maximum(fractured_share, line.share)
        image.fracture_mask.reshape(-1)[at[line.away_mm < _SEEN_MM]] = bone.label
    image.share.reshape(-1)[at] = share
    image.density.reshape(-1)[at] = share * (density + fractured_share * (np.float32(_GAP_HU) - density))
    image.labels.reshape(-1)[at[share >= 0.5]] = bone.label


def _density(bone: PlacedBone, points: Points, distance: Field, width: Field, share: Field) -> Field:
    """Returns HU of the bony part of voxels at ``(3, n)`` points: a compact shell of uneven thickness around spongy bone."""
    shell = _shell_mm(bone.material, points)
    spongy = np.clip(0.5 - (distance + shell) / width, 0, 1) / np.maximum(share, np.float32(1e-3))
    hu = _compact_hu(bone.material, points)
    inner = np.flatnonzero(spongy > 0)
    if len(inner):
        deep = _spongy_hu(bone.material, points[:, inner], distance[inner] + shell[inner])
        hu[inner] += spongy[inner] * (deep - hu[inner])
    for change in bone.changes:
        hu = change.recolour(points, distance, hu)
    return hu


def _compact_hu(made: Material, points: Points) -> Field:
    """Returns HU of compact bone: the same everywhere, or denser here and thinner there."""
    hu = np.full(points.shape[1], made.cortex_hu, np.float32)
    if made.cortex_roughness_hu > 0:
        hu += np.float32(made.cortex_roughness_hu) * value_noise(points, _PATCH_MM, made.seed + 3)
    return hu


def _shell_mm(made: Material, points: Points) -> Field:
    """Returns the thickness of compact bone: thin around the body, thicker at its end plates and in the arch."""
    arch = np.clip((points[1] - made.arch_mm) / 4, 0, 1)
    plate = np.clip(np.abs(points[2]) - made.plate_mm, 0, 1) * (1 - arch)
    region = 1 + (made.arch_gain - 1) * arch + 0.35 * plate
    uneven = np.clip(1 + made.unevenness * value_noise(points, 6.0, made.seed), 0.4, 2)
    return np.asarray(made.cortex_mm * region * uneven, dtype=np.float32)


def _spongy_hu(made: Material, points: Points, under: Field) -> Field:
    """Returns HU of trabeculae: coarse and fine, denser towards the shell; ``under`` is the distance to it, negative below."""
    if made.striation != 1:
        points = points * np.array([[1], [1], [1 / made.striation]], np.float32)
    fine, coarse = value_noise(points, made.grain_mm, made.seed + 1), value_noise(points, made.clumps_mm, made.seed + 2)
    texture = 0.65 * fine + 0.75 * coarse
    rim = np.exp(np.clip(under, -9, 0) / np.float32(1.2))
    return np.asarray(made.cancellous_hu * (1 + 0.45 * rim) + made.roughness_hu * texture, dtype=np.float32)


def _own_points(bone: PlacedBone, grid: Grid, axes: Sequence[NDArray[np.floating]]) -> Points:
    """Returns the lattice of some indices along each axis in the bone's frame, ``(3, z, y, x)``."""
    matrix = bone.pose.own_matrix @ grid.affine[:3, :3]
    first = bone.pose.own_matrix @ (grid.affine[:3, 3] - bone.pose.centre)
    z, y, x = axes
    out = np.empty((3, len(z), len(y), len(x)), np.float32)
    for axis in range(3):
        steps = matrix[axis]
        out[axis] = (first[axis] + steps[0] * z)[:, None, None] + (steps[1] * y)[:, None] + steps[2] * x
    return out


def _listed(
    bone: PlacedBone, grid: Grid, starts: NDArray[np.intp], blocks: NDArray[np.intp], stop: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Points]:
    """Returns the voxels of some blocks, before ``stop``: flat indices ``(n,)`` and middles in the bone's frame ``(3, n)``."""
    matrix = bone.pose.own_matrix @ grid.affine[:3, :3]
    first = bone.pose.own_matrix @ (grid.affine[:3, 3] - bone.pose.centre)
    within = np.indices(tuple(blocks)).reshape(3, -1)
    bases = (matrix @ starts.T + first[:, None]).astype(np.float32)
    points = (bases[:, :, None] + (matrix @ within).astype(np.float32)[:, None, :]).reshape(3, -1)
    strides = np.array((grid.shape[1] * grid.shape[2], grid.shape[2], 1))
    index = ((starts @ strides)[:, None] + strides @ within).ravel()
    over = np.any(starts + blocks > stop, axis=1)
    if over.any():
        whole = (starts[over][:, :, None] + within < stop[:, None]).all(axis=1)
        kept = np.ones((len(starts), within.shape[1]), np.bool_)
        kept[over] = whole
        points, index = points[:, kept.ravel()], index[kept.ravel()]
    return index, points


def index_box(corners_mm: NDArray[np.float64], grid: Grid) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns the first and last-but-one index of the voxels near some world points, within the grid."""
    index = grid.index(corners_mm)
    low = np.maximum(np.floor(index.min(axis=0)).astype(np.intp) - 1, 0)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(np.intp) + 2, grid.shape)
    return low, np.maximum(high, low)
