"""Builds an anatomy of surfaces: signed distances, a frame and landmarks for each bone.

A folder of surfaces may hold a table ``anatomy.toml``, or one is named; see :mod:`cspine.phantoms.meshes.table`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.errors import AnatomyError
from cspine.phantoms.meshes.anatomy import Anatomy, Body, BoneShape
from cspine.phantoms.meshes.checks import check_apart, check_one_bone, check_order, check_surface, check_vertebra
from cspine.phantoms.meshes.distance import inside, unsigned_distance
from cspine.phantoms.meshes.landmarks import Solid, find_frame, measure
from cspine.phantoms.meshes.orientation import fitting_axes
from cspine.phantoms.meshes.separating import largest_solid, outer
from cspine.phantoms.meshes.surfaces import Surface, read_surface
from cspine.phantoms.meshes.table import SurfaceSource, SurfaceTable, read_table

Watch = Callable[[list[str]], Iterable[str]]

_LIMIT_MM = 5.0
_SPACING_MM = 0.7
_CONTEXT_SPACING_MM = 1.2
_SKULL_SPACING_MM = 1.6
_COARSE_MM = 1.0
_MARGIN_MM = 3.0
_VAULT_MM, _BASE_MM = 6.0, 11.0
_BASE_HEIGHT_MM = 45.0


def build_anatomy(folder: Path, table: Path | None = None, watch: Watch = iter) -> Anatomy:
    """Returns the anatomy of a folder of surfaces, one per level; some levels may be absent.

    Args:
        folder: Where the surfaces are.
        table: Names them; ``anatomy.toml`` in the folder by default. Without one the surfaces are taken to be in mm with axes
            ``LPS``, and a file whose name holds ``c1``..``c7`` is that level.
        watch: Hands on the names of the bones, one when the one before is done, and may show how far the work is.

    Raises:
        AnatomyError: There is no vertebra, the table is wrong, surfaces are damaged or no vertebrae; all are reported at once.
    """
    surfaces = read_table(folder, table)
    sources = {level.name: source for level, source in surfaces.levels.items()} | surfaces.context
    shapes, faults = dict[str, BoneShape](), dict[str, str]()
    for name in watch(list(sources)):
        try:
            shapes[name] = _bone_shape(_surface(folder, sources[name]), name)
        except AnatomyError as error:
            faults[name] = str(error)
    if faults:
        raise AnatomyError(" ".join(dict.fromkeys(faults.values())) + _axes_hint(folder, surfaces))
    vertebrae = {level: shapes[level.name] for level in surfaces.levels}
    check_order(vertebrae)
    check_apart(vertebrae)
    return Anatomy(surfaces.name, vertebrae, {name: shapes[name] for name in surfaces.context}, surfaces.notice)


def _bone_shape(surface: Surface, name: str) -> BoneShape:
    if name in Level.__members__:
        return vertebra_shape(surface, Level[name])
    return skull_shape(surface) if name == "skull" else context_shape(surface, _CONTEXT_SPACING_MM)


def _axes_hint(folder: Path, surfaces: SurfaceTable) -> str:
    """Returns a sentence that names other axes with which all levels would do, if there are any."""
    named = {source.axes.upper() for source in surfaces.levels.values()}
    if len(named) != 1:
        return ""
    solids: dict[Level, Solid] = {}
    for level, source in surfaces.levels.items():
        try:
            surface = _surface(folder, source)
            check_surface(surface, level)
        except AnatomyError:
            return ""
        solids[level] = _solid(_shape(largest_solid(surface), np.eye(4), _COARSE_MM))
    fitting = fitting_axes(solids, named.pop())
    return f" Axes that would fit: {' or '.join(fitting)}." if fitting else ""


def _surface(folder: Path, source: SurfaceSource) -> Surface:
    moved = read_surface(folder / source.file).moved(source.matrix)
    return Surface(moved.points + np.asarray(source.shift_mm), moved.triangles)


def vertebra_shape(surface: Surface, level: Level) -> BoneShape:
    """Returns a vertebra's surface, in mm and LPS, as signed distance in a frame that its own end plates define.

    Raises:
        AnatomyError: It is not closed, not one bone, or has not the size, the canal and the directions of that level.
    """
    check_surface(surface, level)
    surface = largest_solid(surface)
    coarse = _solid(_shape(surface, np.eye(4), _COARSE_MM))
    check_one_bone(coarse, level)
    shape = _shape(surface, find_frame(coarse, level), _SPACING_MM)
    solid = _solid(shape)
    described = replace(shape, body=measure(solid, level))
    check_vertebra(described, solid, level)
    return described


def context_shape(surface: Surface, spacing_mm: float) -> BoneShape:
    """Returns any other bone's surface, in mm and LPS, as signed distance around its own middle."""
    size = np.ptp(surface.points, axis=0).max()
    if not 10 < size < 400:
        raise AnatomyError(
            f"Jaw, hyoid, larynx and skull are 10 to 400 mm long. Received {size:.3g} mm: check `scale_mm` in anatomy.toml."
        )
    frame = np.eye(4)
    frame[:3, 3] = (surface.points.min(axis=0) + surface.points.max(axis=0)) / 2
    return _shape(surface, frame, spacing_mm)


def skull_shape(surface: Surface) -> BoneShape:
    """Returns a skull, hollowed where it is solid: the vault a few millimetres thick, the base more."""
    shape = context_shape(surface, _SKULL_SPACING_MM)
    solid = shape.steps < 0
    depth = (ndimage.distance_transform_edt(solid) - 0.5) * shape.spacing_mm
    height = shape.spacing_mm * (np.arange(len(solid)) - np.flatnonzero(solid.any(axis=(1, 2)))[0])
    rise = np.clip(height / _BASE_HEIGHT_MM, 0, 1)[:, None, None]
    wall = _BASE_MM + (_VAULT_MM - _BASE_MM) * rise
    signed = shape.steps.astype(np.float32) * np.float32(shape.step_mm)
    signed = np.where(solid, np.maximum(signed, depth - wall), signed)
    steps = np.clip(np.round(signed / shape.step_mm), -127, 127).astype(np.int8)
    return replace(shape, steps=steps)


def _shape(surface: Surface, frame: NDArray[np.float64], spacing_mm: float) -> BoneShape:
    """Returns a surface sampled in ``frame``; its landmarks say the size of the whole bone."""
    inverse = np.linalg.inv(frame)
    local = Surface(surface.points @ inverse[:3, :3].T + inverse[:3, 3], surface.triangles)
    used = local.points[local.triangles.ravel()]
    first = used.min(axis=0) - _MARGIN_MM
    shape_xyz = np.ceil((np.ptp(used, axis=0) + 2 * _MARGIN_MM) / spacing_mm).astype(int) + 1
    axes = [first[a] + spacing_mm * np.arange(shape_xyz[a]) for a in range(3)]
    distance = unsigned_distance(outer(local, 0.65 * spacing_mm), axes, _LIMIT_MM)
    signed = np.where(inside(local, axes), -distance, distance)
    steps = np.clip(np.round(signed * (127 / _LIMIT_MM)), -127, 127).astype(np.int8)
    x, y, z = (float(value) for value in first)
    width, depth, height = (float(value) for value in np.ptp(used, axis=0))
    middle = (used.min(axis=0) + used.max(axis=0)) / 2
    body = Body((width, depth, height), 0.0, (0.0, 0.0), (float(middle[0]), float(middle[1]), float(middle[2])))
    return BoneShape(steps, _LIMIT_MM / 127, (x, y, z), spacing_mm, frame, body)


def _solid(shape: BoneShape) -> Solid:
    return Solid(shape.steps < 0, shape.first_mm, shape.spacing_mm)
