"""Finds where the parts of a vertebra lie, in its shape: pillars, laminae, processes, arches, the dens."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.phantoms.meshes.anatomy import BoneShape
from cspine.phantoms.model.shapes import Points

Site = NDArray[np.float64]

LEFT, RIGHT = 1, -1
_COARSE_MM = 1.4
SIDE_NAMES = {LEFT: "left", RIGHT: "right", 0: "middle"}


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """A bone in coarse voxels.

    Attributes:
        inside: Whether a voxel is bone, ``(z, y, x)``.
        places: Where those that are bone lie, ``(3, n)``, mm, in the order of ``inside``.
    """

    inside: NDArray[np.bool_]
    places: Points


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Holds places in a bone's own frame, mm; those of a side by :data:`LEFT` and :data:`RIGHT`.

    Attributes:
        half_mm: Half width, half depth and half height of the body (without the dens).
        pillar: The thickest place of the lateral mass.
        facet_up: Tip of the upper articular process.
        facet_down: Tip of the lower one.
        transverse: Tip of the transverse process.
        pedicle: Between body and pillar; the pars of C2; the anterior arch of C1 off the middle.
        lamina: Middle of the lamina; where the posterior arch of C1 leaves the lateral mass.
        arch: Where the posterior arch meets in the middle, at the canal.
        spinous: Tip of the spinous process.
        front: The anterior arch of C1 in the middle; the front of the body elsewhere.
        dens_base: Where the dens of C2 rises from the body.
        dens_tip: Its tip.
        lattice: The bone in coarse voxels.
    """

    half_mm: Site
    pillar: dict[int, Site] = field(repr=False)
    facet_up: dict[int, Site] = field(repr=False)
    facet_down: dict[int, Site] = field(repr=False)
    transverse: dict[int, Site] = field(repr=False)
    pedicle: dict[int, Site] = field(repr=False)
    lamina: dict[int, Site] = field(repr=False)
    arch: Site
    spinous: Site
    front: Site
    dens_base: Site
    dens_tip: Site
    lattice: Lattice = field(repr=False)

    def moved(self, move: Callable[[Points], Points]) -> "Sites":
        """Returns all places where ``move`` takes them."""
        out: dict[str, Site | Lattice | dict[int, Site]] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, Lattice):
                out[part.name] = replace(value, places=np.asarray(move(value.places), dtype=np.float32))
            elif part.name != "half_mm":
                out[part.name] = {s: _moved(p, move) for s, p in value.items()} if isinstance(value, dict) else _moved(value, move)
        return replace(self, **out)  # type: ignore[arg-type]


def _moved(place: Site, move: Callable[[Points], Points]) -> Site:
    return np.asarray(move(np.asarray(place, dtype=np.float32)[:, None])[:, 0], dtype=np.float64)


def beside(place: Site, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Site:
    """Returns a place so many millimetres from another."""
    return np.asarray(place + np.array([x, y, z]), dtype=np.float64)


@lru_cache(maxsize=64)
def find_sites(level: Level, bone: BoneShape) -> Sites:
    """Returns the sites of a vertebra; a part that the shape lacks is placed where it would be."""
    inside = np.argwhere(bone.steps < 0)
    places = np.asarray(bone.first_mm) + inside[:, ::-1] * bone.spacing_mm
    depth = -bone.steps[tuple(inside.T)].astype(np.float64) * bone.step_mm
    return _Finder(level, bone, places, depth).sites()


class _Finder:
    """Asks for places by where they are among the others."""

    def __init__(self, level: Level, bone: BoneShape, places: Site, depth: Site) -> None:
        self._level, self._bone, self._places, self._depth = level, bone, places, depth
        self._x, self._y, self._z = places.T

    def sites(self) -> Sites:
        body, canal = self._bone.body, self._bone.body.canal_mm
        middle = np.abs(self._x) < 2.0
        behind = middle & (self._y > canal)
        near = self._y < (self._y[behind].min() + 4 if behind.any() else np.inf)
        arch = self._centroid(behind & near, (0.0, canal + body.canal_size_mm[1] / 2, 0.0))
        half = self._half_body()
        pillar = {side: self._pillar(side, half) for side in (LEFT, RIGHT)}
        base, tip = self._dens(half)
        return Sites(
            half_mm=half,
            pillar=pillar,
            facet_up={side: self._facet(pillar[side], 1) for side in pillar},
            facet_down={side: self._facet(pillar[side], -1) for side in pillar},
            transverse={side: self._transverse(side, pillar[side]) for side in pillar},
            pedicle={side: self._pedicle(side, pillar[side], half) for side in pillar},
            lamina={side: self._lamina(pillar[side], arch) for side in pillar},
            arch=arch,
            spinous=self._far(np.abs(self._x) < 9, self._y, beside(arch, y=12.0)),
            front=self._front(half),
            dens_base=base,
            dens_tip=tip,
            lattice=self._lattice(),
        )

    def _lattice(self) -> Lattice:
        step = max(1, round(_COARSE_MM / self._bone.spacing_mm))
        inside = self._bone.steps[::step, ::step, ::step] < 0
        places = np.asarray(self._bone.first_mm) + np.argwhere(inside)[:, ::-1] * (step * self._bone.spacing_mm)
        return Lattice(inside, np.asarray(places.T, dtype=np.float32))

    def _half_body(self) -> Site:
        wide, deep, tall = self._bone.body.size_mm
        if self._level is Level.C2:
            low = self._z[(np.abs(self._x) < 3) & (self._y < deep / 2)].min()
            tall = 2 * abs(low)
        # the width between the uncinate processes, not that of the rims
        return np.array([min(wide, 1.3 * max(deep, 10.0)), deep, tall]) / 2

    def _front(self, half: Site) -> Site:
        if self._level is Level.C1:
            return self._centroid((np.abs(self._x) < 2) & (self._y < 0), (0.0, -12.0, 0.0))
        return np.array([0.0, -half[1], 0.0])

    def _pillar(self, side: int, half: Site) -> Site:
        back = half[1] if self._level > Level.C2 else -0.5 * half[1]
        far = back + (14 if self._level > Level.C2 else 12)
        least = {Level.C1: 12.0, Level.C2: half[0] + 3}.get(self._level, max(8.0, 0.75 * half[0]))
        region = (side * self._x > least) & (self._y > back) & (self._y < far)
        return self._far(region, self._depth, np.array([side * 19.0, (back + far) / 2, 0.0]))

    def _facet(self, pillar: Site, way: int) -> Site:
        """Returns the highest or lowest bone of the column around a pillar."""
        x, y = pillar[0], pillar[1]
        if self._level is Level.C2 and way < 0:
            y = self._bone.body.canal_mm  # the lower facets of C2 lie far behind the upper ones
        near = (np.hypot(self._x - x, self._y - y) < 8.0) & (np.abs(self._x) > 8)
        return self._far(near, way * self._z, np.array([x, y, pillar[2] + way * 8.0]))

    def _transverse(self, side: int, pillar: Site) -> Site:
        before = self._y < pillar[1] + {Level.C1: 20, Level.C2: 9}.get(self._level, -4)
        return self._far(before, side * self._x, beside(pillar, side * 8.0, -4.0))

    def _lamina(self, pillar: Site, arch: Site) -> Site:
        x = (0.7 if self._level is Level.C1 else 0.5) * pillar[0]
        behind = (np.abs(self._x - x) < 1.5) & (self._y > (pillar[1] + arch[1]) / 2)
        return self._centroid(behind, (float(x), float(0.2 * pillar[1] + 0.8 * arch[1]), float(arch[2])))

    def _pedicle(self, side: int, pillar: Site, half: Site) -> Site:
        if self._level is Level.C2:
            behind = (side * self._x > 8) & (np.abs(self._y - 0.65 * half[1] - 5) < 1.5) & (self._z > -4)
            return self._centroid(behind, (side * 14.0, 10.0, 4.0))
        if self._level is Level.C1:
            x = 0.4 * pillar[0]
            return self._centroid((np.abs(self._x - x) < 1.5) & (self._y < 0), (float(x), -8.0, 0.0))
        return self._near(0.55 * pillar + 0.45 * np.array([side * half[0], 0.6 * half[1], 0.0]), self._z > -1e9, 4.0)

    def _dens(self, half: Site) -> tuple[Site, Site]:
        tip = self._far(np.abs(self._x) < 4, self._z, np.array([0.0, 0.0, 30.0]))
        if self._level is not Level.C2:
            return tip, tip
        lowest = 0.45 * (tip[2] + half[2]) - half[2]
        heights = np.arange(lowest, max(tip[2] - 6, lowest + 1), self._bone.spacing_mm)
        widths = np.array([self._width(z) for z in heights])
        narrow = np.flatnonzero(widths < 1.6 * np.median(widths[-12:]))
        z = float(heights[narrow[0]]) if len(narrow) else float(heights.mean())
        around = (np.abs(self._x) < 6) & (np.abs(self._z - z) < 1.5) & (self._y < self._bone.body.canal_mm)
        return self._centroid(around, (0.0, 0.0, z)), tip

    def _width(self, z: float) -> float:
        """Returns the width of the front part at a height, at the depth of the dens."""
        row = (np.abs(self._z - z) < 0.5) & (self._y < self._bone.body.canal_mm - 4)
        return float(np.ptp(self._x[row])) if row.any() else np.inf

    def _near(self, place: Site, among: NDArray[np.bool_], within_mm: float) -> Site:
        """Returns the middle of the bone around a place."""
        away = np.linalg.norm(self._places - place, axis=1)
        return self._centroid(among & (away < within_mm), (float(place[0]), float(place[1]), float(place[2])))

    def _far(self, among: NDArray[np.bool_], along: Site, otherwise: Site) -> Site:
        """Returns the middle of the few percent of some bone that lie farthest along something."""
        if np.count_nonzero(among) < 20:
            return np.asarray(otherwise, dtype=np.float64)
        limit = np.quantile(along[among], 0.99)
        return np.asarray(self._places[among & (along >= limit)].mean(axis=0))

    def _centroid(self, among: NDArray[np.bool_], otherwise: tuple[float, float, float]) -> Site:
        return np.asarray(self._places[among].mean(axis=0)) if among.any() else np.asarray(otherwise)
