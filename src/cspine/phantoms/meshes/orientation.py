"""Finds axes that would make vertebrae of surfaces that are not vertebrae with the axes that were given."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.errors import AnatomyError
from cspine.phantoms.meshes.anatomy import Body, BoneShape
from cspine.phantoms.meshes.checks import check_order, check_vertebra
from cspine.phantoms.meshes.landmarks import Solid, find_frame, measure
from cspine.phantoms.meshes.table import SurfaceSource

_MARGIN_MM = 4.0
_ALL_AXES = tuple("".join(letters) for pairs in permutations(("LR", "AP", "SI")) for letters in product(*pairs))


def fitting_axes(solids: Mapping[Level, Solid], stated: str) -> tuple[str, ...]:
    """Returns the axes with which all of some solids would be their levels.

    Left and right cannot be distinguished in a vertebra. Of two axes that differ in that alone the right-handed ones count, as
    nearly all tools write these.

    Args:
        solids: Each level as voxels, with the axes that it is said to have.
        stated: Those axes.
    """
    if not solids:
        return ()
    turns = {axes: _matrix(axes) @ np.linalg.inv(_matrix(stated)) for axes in _ALL_AXES if axes != stated}
    return tuple(axes for axes, turn in turns.items() if np.linalg.det(_matrix(axes)) > 0 and _all_fit(solids, turn))


def _all_fit(solids: Mapping[Level, Solid], turn: NDArray[np.float64]) -> bool:
    bones: dict[Level, BoneShape] = {}
    try:
        for level, solid in solids.items():
            bones[level] = _bone(_turned(solid, turn), level)
        check_order(bones)
    except (AnatomyError, ValueError, np.linalg.LinAlgError):
        return False
    return True


def _bone(solid: Solid, level: Level) -> BoneShape:
    """Returns a bone, coarse, whose size, canal and directions were checked."""
    frame = find_frame(solid, level)
    own = _in_frame(solid, frame)
    empty = Body((0.0, 0.0, 0.0), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0))
    steps = np.where(own.inside, np.int8(-1), np.int8(1))
    bone = replace(BoneShape(steps, 1.0, own.first_mm, own.spacing_mm, frame, empty), body=measure(own, level))
    check_vertebra(bone, own, level)
    return bone


def _turned(solid: Solid, turn: NDArray[np.float64]) -> Solid:
    """Returns a solid whose world was turned by right angles; voxels stay voxels."""
    sources = [int(np.argmax(np.abs(turn[axis]))) for axis in range(3)]
    signs = [float(np.sign(turn[axis, source])) for axis, source in enumerate(sources)]
    inside, first = np.transpose(solid.inside, [2 - source for source in reversed(sources)]), []
    for axis, (source, sign) in enumerate(zip(sources, signs, strict=True)):
        start = solid.first_mm[source]
        if sign < 0:
            inside = np.flip(inside, 2 - axis)
            start = -(start + solid.spacing_mm * (solid.inside.shape[2 - source] - 1))
        first.append(start)
    return Solid(np.ascontiguousarray(inside), (first[0], first[1], first[2]), solid.spacing_mm)


def _in_frame(solid: Solid, frame: NDArray[np.float64]) -> Solid:
    """Returns the solid sampled in another frame."""
    places = np.argwhere(solid.inside)[:, ::-1] * solid.spacing_mm + np.asarray(solid.first_mm)
    inverse = np.linalg.inv(frame)
    own = places @ inverse[:3, :3].T + inverse[:3, 3]
    low, high = own.min(axis=0) - _MARGIN_MM, own.max(axis=0) + _MARGIN_MM
    axes = [np.arange(a, b, solid.spacing_mm) for a, b in zip(low, high, strict=True)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    world = np.stack([x, y, z], axis=-1) @ frame[:3, :3].T + frame[:3, 3]
    index = np.moveaxis((world - np.asarray(solid.first_mm)) / solid.spacing_mm, -1, 0)[::-1]
    inside = ndimage.map_coordinates(solid.inside.astype(np.float32), index, order=1) >= 0.5
    return Solid(inside, (float(low[0]), float(low[1]), float(low[2])), solid.spacing_mm)


def _matrix(axes: str) -> NDArray[np.float64]:
    return SurfaceSource("", 1.0, axes).matrix
