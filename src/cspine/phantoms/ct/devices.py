"""Rendering of foreign objects over what is there already: tubes, implants, collars, couch tops."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.phantoms.ct.soft_tissue import skin_mm
from cspine.phantoms.ct.voxel_box import VoxelBox
from cspine.phantoms.model.hardware.devices import Collar, CouchTop, FaceMask, HardwareDevice, Implant, Support, Tube
from cspine.phantoms.model.shapes import Capsule, Field

_SEAM_MM = 1.5
_AIR_BELOW_HU = -500.0
_HOLES_PER_MM, _HOLE = np.float32(np.pi / 9), 0.55
"""A hole every 9 mm in a mask over the face, less than half as wide."""


def render_device(device: HardwareDevice, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders one device over what is there.

    Args:
        device: The device.
        grid: Where the voxels lie.
        hu: HU on ``grid``, ``(z, y, x)``, changed in place.
    """
    match device:
        case Tube():
            _render_tube(device, grid, hu)
        case Implant():
            _render_implant(device, grid, hu)
        case Collar():
            _render_collar(device, grid, hu)
        case CouchTop():
            _render_couch(device, grid, hu)
        case Support():
            _render_support(device, grid, hu)
        case FaceMask():
            _render_face_mask(device, grid, hu)


def _render_tube(tube: Tube, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders the wall, then the filling, then the line."""
    body = hu > _AIR_BELOW_HU if tube.outside else None
    before = None if body is None else hu[body]
    _render_path(tube.path_mm, grid, hu, ((tube.outer_mm, tube.wall_hu), (tube.inner_mm, tube.filling_hu)))
    if tube.line_hu:
        beside = tube.path_mm + np.array([0.0, (tube.outer_mm + tube.inner_mm) / 2, 0.0])
        _render_path(beside, grid, hu, ((0.45, tube.line_hu),))
    if body is not None:
        hu[body] = before


def _render_implant(implant: Implant, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders each part."""
    edges = np.ascontiguousarray(grid.affine[:3, :3], dtype=np.float32)
    for shape in implant.shapes:
        box = VoxelBox.around(grid, *shape.box_mm())
        if box is not None:
            points = box.points()
            _blend(hu[box.slices], shape.distance(points), shape.width(points, edges), implant.hu)


def _render_support(support: Support, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders each part where there is air only."""
    edges = np.ascontiguousarray(grid.affine[:3, :3], dtype=np.float32)
    for shape in support.shapes:
        box = VoxelBox.around(grid, *shape.box_mm())
        if box is not None:
            part, points = hu[box.slices], box.points()
            away = np.where(part < _AIR_BELOW_HU, shape.distance(points), np.float32(99))
            _blend(part, away, shape.width(points, edges), support.hu)


def _render_face_mask(mask: FaceMask, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders the shell and its holes where there is air only."""
    low, high = mask.heights_mm
    middle = mask.tissue.head.centre
    corners = np.array([(middle[0] - 160, middle[1] - 260, low), (middle[0] + 160, mask.behind_mm, high)])
    box = VoxelBox.around(grid, *corners)
    if box is None:
        return
    part = hu[box.slices]
    outside = skin_mm(mask.tissue, grid.part(box.start, part.shape)) - np.float32(mask.gap_mm + mask.shell_mm / 2)
    x, y, z = box.points()
    within = np.minimum(np.minimum(z - low, high - z), mask.behind_mm - y)
    holes = np.sin(x * _HOLES_PER_MM) * np.sin(z * _HOLES_PER_MM) > _HOLE
    away = np.maximum(np.abs(outside) - np.float32(mask.shell_mm / 2), -within)
    away = np.where((part < _AIR_BELOW_HU) & ~holes, away, np.float32(99))
    _blend(part, away, np.full(part.shape, max(grid.spacing_mm), np.float32), mask.shell_hu)


def _render_collar(collar: Collar, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders the collar where there is air only, so that crops around the spine are left alone quickly."""
    air = np.argwhere(hu < -500)
    if not len(air):
        return
    start, stop = air.min(axis=0), air.max(axis=0) + 1
    shape = int(stop[0] - start[0]), int(stop[1] - start[1]), int(stop[2] - start[2])
    outside = skin_mm(collar.tissue, grid.part(start, shape)) - np.float32(collar.gap_mm)
    box = VoxelBox(grid, start, stop)
    low, high = collar.heights_mm
    z = box.points()[2]
    within = np.minimum(z - low, high - z)
    width = np.full(shape, max(grid.spacing_mm), np.float32)
    part = hu[box.slices]
    within = np.where(part < -500, within, np.float32(-99))  # it yields to all else
    for inner, thick, density in ((0.0, collar.foam_mm, collar.foam_hu), (collar.foam_mm, collar.shell_mm, collar.shell_hu)):
        across = np.abs(outside - np.float32(inner + thick / 2)) - np.float32(thick / 2)
        _blend(part, np.maximum(across, -within), width, density)


def _render_couch(couch: CouchTop, grid: Grid, hu: NDArray[np.float32]) -> None:
    """Renders both shells and the foam."""
    x, y = couch.middle_mm
    far = 1e4
    rise = 260**2 / (2 * couch.radius_mm)
    low, high = np.array([x - 260, y - rise - 3, -far]), np.array([x + 260, y + couch.thick_mm + 3, far])
    box = VoxelBox.around(grid, low, high)
    if box is None:
        return
    points = box.points()
    below = points[1] - np.float32(y) + (points[0] - np.float32(x)) ** 2 / np.float32(2 * couch.radius_mm)
    side = np.abs(points[0] - np.float32(x)) - 250
    width = np.full(below.shape, max(grid.spacing_mm), np.float32)
    part = hu[box.slices]
    half = np.float32(couch.thick_mm / 2)
    _blend(part, np.maximum(np.abs(below - half) - half, side), width, -960.0)
    for shell in (0.0, couch.thick_mm):
        _blend(part, np.maximum(np.abs(below - np.float32(shell)) - 0.8, side), width, couch.shell_hu)


def _render_path(path: NDArray[np.float64], grid: Grid, hu: NDArray[np.float32], layers: Sequence[tuple[float, float]]) -> None:
    """Renders layers of decreasing radius along a path."""
    reach = max(radius for radius, _ in layers) + _SEAM_MM + max(grid.spacing_mm)
    box = VoxelBox.around(grid, path.min(axis=0) - reach, path.max(axis=0) + reach)
    if box is None:
        return
    away = np.full(box.stop - box.start, 99.0, np.float32)
    for start, end in pairwise(path):
        near = VoxelBox.around(grid, np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        if near is not None:
            inner = tuple(slice(int(a), int(b)) for a, b in zip(near.start - box.start, near.stop - box.start, strict=True))
            rod = Capsule((start[0], start[1], start[2]), (end[0], end[1], end[2]), 0.0)
            away[inner] = np.minimum(away[inner], rod.distance(near.points()))
    width = np.full(away.shape, 1.2 * float(np.mean(grid.spacing_mm)), np.float32)
    for radius, density in layers:
        if radius > 0:
            _blend(hu[box.slices], away - np.float32(radius), width, density)


def _blend(part: NDArray[np.float32], outside: Field, width: Field, hu: float) -> None:
    """Renders one material, weighed by how much of a voxel it takes, in place."""
    share = np.clip(0.5 - outside / width, 0, 1)
    part += share * (np.float32(hu) - part)
