"""Soft tissue as functions of place: skin, muscles between planes of fat, throat, vessels, cord, lungs, what is in the skull.

Values are worked out on a lattice that is fixed in the world and read off between its points, so that they do not depend on
the grid that is sampled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.phantoms.model.shapes import Field, Points
from cspine.phantoms.model.texture import value_noise
from cspine.phantoms.model.tissue import Tissue
from cspine.volume import AIR_HU, Volume

LATTICE_MM = 2.0

_FAR_MM = np.float32(50.0)
_LUNG_HU = -850.0
_BRAIN_HU = 36.0


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Points, and where they lie to spine, airway and head; arrays ``(z, y, x)`` or columns that broadcast.

    Attributes:
        world: ``(3, z, y, x)``.
        z: World height, a column.
        u: To the left of the canal's middle.
        v: Behind it.
        front: How far in front of it the bodies end, a column.
        air: Middle of the airway against the canal's, half width and half depth, columns.
        roof: Where the airway ends above.
    """

    world: Points
    z: Field
    u: Field
    v: Field
    front: Field
    air: tuple[Field, Field, Field, Field]
    roof: float


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Soft tissue on a lattice.

    Attributes:
        skin: Signed distance to the skin, mm, negative inside.
        airway: Signed distance to the airways, mm, negative inside.
        hu: What would be there were there no air.
    """

    skin: Field
    airway: Field
    hu: Field


def render_soft_tissue(tissue: Tissue, grid: Grid) -> NDArray[np.float32]:
    """Returns HU of everything but bone on a grid, ``(z, y, x)``."""
    lattice = _lattice(grid)
    found = fields(tissue, _points(lattice))
    hu = sample(Volume(found.hu, lattice), grid).hu
    skin_mm, airway_mm = (sample(Volume(values, lattice), grid, fill=50).hu for values in (found.skin, found.airway))
    edge = np.float32(max(grid.spacing_mm))
    air = np.maximum(np.clip(0.5 + skin_mm / edge, 0, 1), np.clip(0.5 - airway_mm / edge, 0, 1))
    out: NDArray[np.float32] = hu + air * (np.float32(AIR_HU) - hu)
    return out


def skin_mm(tissue: Tissue, grid: Grid) -> Field:
    """Returns signed distance to the skin on a grid, mm, negative inside, ``(z, y, x)``."""
    lattice = _lattice(grid)
    world = _points(lattice)
    skin = _uneven_skin(tissue, _places(tissue, world), _head_points(tissue, world))
    return sample(Volume(skin, lattice), grid, fill=50).hu


def _lattice(grid: Grid) -> Grid:
    """Returns the part of the world's lattice that covers a grid; every second point where the grid is coarser than that."""
    step = LATTICE_MM * (2 if min(grid.spacing_mm) >= 2 * LATTICE_MM else 1)
    corners = grid.corners_mm()
    low = np.floor(corners.min(axis=0) / step) - 1
    high = np.ceil(corners.max(axis=0) / step) + 1
    x, y, z = (int(n) for n in high - low + 1)
    return Grid.upright((low + high) / 2 * step, (z, y, x), (step,) * 3)


def _points(grid: Grid) -> Points:
    z, y, x = (grid.world(np.eye(3)[a] * np.arange(grid.shape[a])[:, None])[:, 2 - a].astype(np.float32) for a in range(3))
    return np.stack(np.broadcast_arrays(x[None, None, :], y[None, :, None], z[:, None, None])).astype(np.float32)


def fields(tissue: Tissue, world: Points) -> Fields:
    """Returns skin, airways and densities at the points ``(3, z, y, x)`` of an upright lattice."""
    at = _places(tissue, world)
    wobble = value_noise(world, 45.0, tissue.seed)
    head = _head_points(tissue, world)
    skin = _uneven_skin(tissue, at, head)
    hu = _muscles(tissue, at, wobble)
    depth = tissue.fat_mm * (1 + 0.25 * value_noise(world, 30.0, tissue.seed + 1))
    fat = np.clip(0.5 + (skin + depth) / 2, 0, 1)
    hu = hu + fat * (-105 + 6 * value_noise(world, 5.0, tissue.seed + 2) - hu)
    hu = np.where(skin > -1.8, np.float32(15), hu)  # the skin itself
    hu = _throat(tissue, at, hu)
    hu = _vessels(tissue, at, hu)
    hu = _canal(at, hu)
    brain = _ellipsoid(head, (0.0, -20.0, 78.0), (70.0, 84.0, 68.0))
    hu = hu + np.clip(0.5 - brain / 2, 0, 1) * (_BRAIN_HU + 2.5 * wobble - hu)
    lungs, within = _lungs(tissue, at)
    hu = hu + np.clip(0.5 - lungs / 2, 0, 1) * (_LUNG_HU + 40 * within - hu)
    loose = np.clip((at.z - tissue.throat_mm - 5) / 15, 0, 1)  # the pharynx has folds, the trachea has rings
    airway = np.minimum(_airway(at) + 1.8 * loose * value_noise(world, 10.0, tissue.seed + 7), _nose(head))
    return Fields(skin.astype(np.float32), airway.astype(np.float32), hu.astype(np.float32))


def _uneven_skin(tissue: Tissue, at: _Places, head: Points) -> Field:
    return np.asarray(_skin(tissue, at, head) + np.float32(1.5) * value_noise(at.world, 45.0, tissue.seed), dtype=np.float32)


def _places(tissue: Tissue, world: Points) -> _Places:
    course = tissue.course
    z = np.ascontiguousarray(world[2][:, :1, :1])

    def column(heights: NDArray[np.float64], values: NDArray[np.float64]) -> Field:
        return np.interp(z, heights, values).astype(np.float32)

    x, y = (column(course.heights_mm, course.canal_mm[:, axis]) for axis in range(2))
    air_x, air_y, wide, deep = (column(course.airway_heights_mm, course.airway_mm[:, k]) for k in range(4))
    front = column(course.heights_mm, course.front_mm)
    roof = float(course.airway_heights_mm[-1]) + 4.0
    return _Places(world, z, world[0] - x, world[1] - y, front, (air_x - x, air_y - y, wide, deep), roof)


def _head_points(tissue: Tissue, world: Points) -> Points:
    """Returns the points in the frame of the skull, where they are near it; far away below."""
    matrix = tissue.head.own_matrix.astype(np.float32)
    away = world - tissue.head.centre.astype(np.float32).reshape(3, 1, 1, 1)
    return np.tensordot(matrix, away, axes=1).astype(np.float32)


def _skin(tissue: Tissue, at: _Places, head: Points) -> Field:
    """Approximates the signed distance to the skin: a neck, a cranium, a face and shoulders, melted into each other."""
    fall = np.clip(tissue.shoulder_mm - at.z, 0, 60) / 60
    half_width = tissue.width_mm + 4 + 10 * fall
    front = -at.air[1] + 21 + 8 * fall  # the throat lies under the skin
    back = tissue.depth_mm + 14 * fall
    half_depth, middle = (front + back) / 2, (back - front) / 2
    neck = (np.sqrt((at.u / half_width) ** 2 + ((at.v - middle) / half_depth) ** 2) - 1) * np.minimum(half_width, half_depth)
    cranium = _ellipsoid(head, (0.0, -19.0, 78.0), (83.0, 99.0, 88.0))
    face = -_melt(-_ellipsoid(head, (0.0, -56.0, -14.0), (71.0, 76.0, 96.0)), 84 + head[2], 20.0)
    body = _melt(_melt(neck, cranium, 22.0), face, 18.0)
    sink = tissue.shoulder_mm - 0.3 * np.clip(np.abs(at.u) - tissue.width_mm, 0, 400) - at.z
    round_off = 0.0009 * at.u**2
    depth = np.abs(at.v + 14) - (94 + 0.25 * np.clip(sink, -20, 120) - round_off)
    shoulders = np.maximum(np.maximum(-sink * 0.95, depth), np.abs(at.u) - 208)
    return _melt(body, shoulders, 30.0)


def _melt(a: Field, b: Field, reach_mm: float) -> Field:
    """Returns the union of two solids with a rounded seam (Quilez, 2013)."""
    share = np.clip(0.5 + 0.5 * (b - a) / reach_mm, 0, 1)
    return np.asarray(b + (a - b) * share - reach_mm * share * (1 - share), dtype=np.float32)


def _muscles(tissue: Tissue, at: _Places, wobble: Field) -> Field:
    """Returns HU of bundles with thin fat between them: where the two nearest middles are equally near."""
    across = np.abs(at.u) / tissue.width_mm + 0.05 * value_noise(at.world, 18.0, tissue.seed + 3)
    along = at.v / tissue.depth_mm + 0.04 * wobble
    nearest = np.full(across.shape, np.inf, dtype=np.float32)
    second = nearest.copy()
    for middle_u, middle_v in tissue.bundles:
        away = (across - np.float32(middle_u)) ** 2 + (along - np.float32(middle_v)) ** 2
        second = np.minimum(second, np.maximum(nearest, away))
        nearest = np.minimum(nearest, away)
    seam = np.clip(1 - (np.sqrt(second) - np.sqrt(nearest)) * tissue.width_mm / (1.5 + 0.25 * tissue.fat_mm), 0, 1)
    seam = seam * np.clip(0.55 + 0.55 * value_noise(at.world, 11.0, tissue.seed + 6), 0, 1)  # planes come and go
    midline = np.clip(1 - np.abs(at.u) / 1.5, 0, 1) * (at.v > 8)
    texture = 7 * value_noise(at.world, 4.0, tissue.seed + 4)
    return np.asarray(tissue.muscle_hu + texture - 125 * np.maximum(seam * 0.85, midline * 0.5), dtype=np.float32)


def _throat(tissue: Tissue, at: _Places, hu: Field) -> Field:
    """Adds pharyngeal wall, cartilage of the trachea, thyroid gland, gullet; fat in front of the spine."""
    low = np.clip((tissue.throat_mm + 6 - at.z) / 12, 0, 1)
    airway = _airway(at)
    space = np.clip(0.5 - (airway - 9) / 6, 0, 1) * (1 - low) * (at.v < -at.front)
    hu = np.asarray(hu + space * (48 - hu), dtype=np.float32)
    wall = np.clip(1.2 - np.abs(airway - 1.3) / 1.3, 0, 1)
    rings = np.clip(0.7 + 0.8 * np.sin(at.z * np.float32(2 * np.pi / 4.5)), 0.2, 1)
    hu = np.asarray(hu + wall * low * rings * (110 - hu), dtype=np.float32)
    x, y, wide, deep = at.air
    gland = np.clip(1 - np.abs(at.z - tissue.throat_mm + 14) / 26, 0, 1)
    for side in (-1, 1):
        lobe = _strand(at.u - x - side * (wide + 8), at.v - y - 3, (8 * gland + 0.1, 11 * gland + 0.1))
        lobed = np.clip(0.5 - lobe / 1.5, 0, 1) * (gland > 0.05)
        hu = np.asarray(hu + lobed * (tissue.thyroid_hu - hu), dtype=np.float32)
    gullet = _strand(at.u - x - 3, at.v - y - deep - 5, (7.0, 3.6))
    return np.asarray(hu + np.clip(0.5 - gullet / 1.5, 0, 1) * low * (38 - hu), dtype=np.float32)


def _vessels(tissue: Tissue, at: _Places, hu: Field) -> Field:
    """Adds carotid and vertebral arteries, jugular veins, in fat."""
    for side in (-1, 1):
        for middle, depth, radius, density in (
            (23.0, -5.0, 3.4, tissue.vessel_hu),
            (31.0, -1.0, 5.2 + side * 0.9, tissue.vessel_hu * 0.9),
            (14.5, 13.0, 1.9, tissue.vessel_hu),
        ):
            away = _strand(at.u - side * middle, at.v + at.front - depth, (radius, radius))
            sheath = 0.8 * np.clip(0.5 - (away - 2.2) / 2, 0, 1)
            hu = np.asarray(hu + sheath * (-70 - hu), dtype=np.float32)
            hu = np.asarray(hu + np.clip(0.5 - away / 1.5, 0, 1) * (density - hu), dtype=np.float32)
    return hu


def _canal(at: _Places, hu: Field) -> Field:
    """Adds fat, fluid and cord in the spinal canal."""
    for radii, density in (((12.5, 9.0), -20.0), ((11.0, 7.5), 12.0), ((6.3, 3.9), 40.0)):
        hu = hu + np.clip(0.5 - _strand(at.u, at.v, radii) / 1.5, 0, 1) * (np.float32(density) - hu)
    return np.asarray(hu, dtype=np.float32)


def _airway(at: _Places) -> Field:
    """Approximates the signed distance to pharynx, larynx and trachea."""
    x, y, wide, deep = at.air
    return np.asarray(np.maximum(_strand(at.u - x, at.v - y, (wide, deep)), at.z - at.roof), dtype=np.float32)


def _nose(head: Points) -> Field:
    """Approximates the signed distance to nasal cavity and maxillary sinuses, in the frame of the skull."""
    out = _ellipsoid(head, (0.0, -66.0, 30.0), (13.0, 40.0, 16.0))
    for side in (-1, 1):
        out = np.minimum(out, _ellipsoid(head, (side * 28.0, -64.0, 26.0), (10.0, 14.0, 13.0)))
    return out


def _lungs(tissue: Tissue, at: _Places) -> tuple[Field, Field]:
    """Returns the signed distance to the tips of the lungs, and a texture for them."""
    top = tissue.shoulder_mm - 40
    out = np.full(at.u.shape, _FAR_MM, np.float32)
    if float(at.z.min()) > top + 20:
        return out, out
    for side in (-1, 1):
        away = (at.u - side * 48) / 34, (at.v + 38) / 48, (at.z - top + 90) / 90
        out = np.minimum(out, ((np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2) - 1) * 34).astype(np.float32))
    return out, value_noise(at.world, 5.0, tissue.seed + 5)


def _strand(u: Field, v: Field, radii: tuple[Field | float, Field | float]) -> Field:
    """Approximates the signed distance to an elliptic strand along the neck."""
    radius = np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2)
    return np.asarray((radius - 1) * np.minimum(radii[0], radii[1]), dtype=np.float32)


def _ellipsoid(points: Points, middle: tuple[float, float, float], radii: tuple[float, float, float]) -> Field:
    """Approximates the signed distance to an ellipsoid."""
    away = [(points[axis] - np.float32(middle[axis])) / np.float32(radii[axis]) for axis in range(3)]
    radius = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
    return np.asarray((radius - 1) * np.float32(min(radii)), dtype=np.float32)
