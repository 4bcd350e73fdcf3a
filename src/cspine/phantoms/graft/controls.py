"""Edits of intact bone that are no fractures: they expose a network that finds edits instead of fractures.

They move, fill and change bone by the same steps as fractures do, and leave it intact.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Vector
from cspine.phantoms.graft.outlining import RealBone
from cspine.phantoms.model.injuries import Piece, Sites
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Site
from cspine.phantoms.model.shapes import Field, Points

_NOWHERE_MM = 99.0
_COUNTS = (0.5, 0.3, 0.2)
"""How often a control has one, two or three changes."""

_STEEPEST = 0.3
"""A bend moves bone by no more than this share of its length: it is smooth."""


@dataclass(frozen=True, slots=True)
class ControlFacts:
    """Holds what a truth table says about a control.

    Attributes:
        kind: ``control_bend``, ``control_shift``, ``control_canal``, ``control_bright_speck`` or ``control_dark_speck``.
        site_mm: Its middle in the bone's frame.
        size_mm: How far it moves bone, or how wide it is.
    """

    kind: str
    site_mm: Vector
    size_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """Describes bone that gives way smoothly, or moves as one and fades into what stays.

    Attributes:
        facts: What it is.
        shift_mm: How far its middle moves.
        reach_mm: Over which distance that fades.
        flat_mm: As far as this all moves alike.
    """

    facts: ControlFacts
    shift_mm: Vector
    reach_mm: float
    flat_mm: float = 0.0

    @property
    def spread_mm(self) -> float:
        """Returns how far the middle moves."""
        return float(np.linalg.norm(self.shift_mm))

    def pieces(self, points: Points, blur: NDArray[np.float32]) -> list[Piece]:  # noqa: ARG002  # one protocol
        """Returns one piece that is bent."""
        away = _away(points, self.facts.site_mm)
        weight = np.exp(-0.5 * (np.maximum(away - self.flat_mm, 0) / self.reach_mm) ** 2)
        back = points - np.asarray(self.shift_mm, dtype=np.float32)[:, None] * weight
        return [Piece(np.ones(points.shape[1], np.float32), np.asarray(back, dtype=np.float32), moved=True)]

    def density(self, points: Points, hu: Field) -> Field:  # noqa: ARG002  # one protocol
        """Returns what was there."""
        return hu

    def line_mm(self, points: Points, edges: NDArray[np.float32]) -> Field:  # noqa: ARG002  # one protocol
        """Returns that nothing is fractured."""
        return np.full(points.shape[1], _NOWHERE_MM, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Canals:
    """Describes canals through bone, as vessels have them.

    Attributes:
        facts: What they are.
        ends_mm: Both ends of each.
        radius_mm: Of each.
    """

    facts: ControlFacts
    ends_mm: tuple[tuple[Vector, Vector], ...] = field(repr=False)
    radius_mm: float

    @property
    def spread_mm(self) -> float:
        """Returns that nothing moves."""
        return 0.0

    def pieces(self, points: Points, blur: NDArray[np.float32]) -> list[Piece]:
        """Returns the bone around the canals."""
        sigma = float(np.linalg.norm(blur, axis=0).mean())
        depth = 1 - np.exp(-0.5 * (self.radius_mm / sigma) ** 2)
        width = np.sqrt(sigma**2 + self.radius_mm**2 / 4)
        hollow = np.zeros(points.shape[1], np.float32)
        for start, end in self.ends_mm:
            hollow = np.maximum(hollow, depth * np.exp(-0.5 * (_from_line(points, start, end) / width) ** 2))
        return [Piece((1 - hollow).astype(np.float32), points, moved=False)]

    def density(self, points: Points, hu: Field) -> Field:  # noqa: ARG002  # one protocol
        """Returns what was there."""
        return hu

    def line_mm(self, points: Points, edges: NDArray[np.float32]) -> Field:  # noqa: ARG002  # one protocol
        """Returns that nothing is fractured."""
        return np.full(points.shape[1], _NOWHERE_MM, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Specks:
    """Describes spots that are denser or less dense than the bone around.

    Attributes:
        facts: What they are.
        middles_mm: Where they lie.
        radius_mm: Of each.
        hu: By how much the middle differs.
    """

    facts: ControlFacts
    middles_mm: tuple[Vector, ...] = field(repr=False)
    radius_mm: float
    hu: float

    @property
    def spread_mm(self) -> float:
        """Returns that nothing moves."""
        return 0.0

    def pieces(self, points: Points, blur: NDArray[np.float32]) -> list[Piece]:  # noqa: ARG002  # one protocol
        """Returns the bone as it is."""
        return [Piece(np.ones(points.shape[1], np.float32), points, moved=False)]

    def density(self, points: Points, hu: Field) -> Field:
        """Returns the density with the spots."""
        out = hu
        for middle in self.middles_mm:
            spot = np.exp(-0.5 * (_away(points, middle) / self.radius_mm) ** 2)
            changed = hu + np.float32(self.hu) * spot
            out = np.where(spot > 0.01, np.clip(changed, np.minimum(hu, 30), np.maximum(hu, 1600)) - hu + out, out)
        return np.asarray(out, dtype=np.float32)

    def line_mm(self, points: Points, edges: NDArray[np.float32]) -> Field:  # noqa: ARG002  # one protocol
        """Returns that nothing is fractured."""
        return np.full(points.shape[1], _NOWHERE_MM, np.float32)


Control = Bend | Canals | Specks


def sample_controls(rng: np.random.Generator, bone: RealBone, spacing: NDArray[np.float64]) -> tuple[Control, ...]:
    """Samples one to three changes of a vertebra, of different kinds.

    Args:
        rng: The only source of chance.
        bone: The vertebra.
        spacing: Steps of the scan's voxels along its axes, in the bone's frame, as columns, mm, ``(3, 3)``.
    """
    count = int(rng.choice(len(_COUNTS), p=_COUNTS)) + 1
    kinds = rng.choice(list(_MAKERS), size=count, replace=False)
    return tuple(_MAKERS[str(kind)](rng, bone.sites, spacing) for kind in kinds)


def _bend(rng: np.random.Generator, sites: Sites, spacing: NDArray[np.float64]) -> Control:  # noqa: ARG001  # one table
    site, reach = _somewhere(rng, sites), float(rng.uniform(5.0, 11.0))
    moved = float(rng.uniform(0.3, _STEEPEST * reach))
    return Bend(ControlFacts("control_bend", vector(site), round(moved, 3)), vector(_direction(rng) * moved), reach)


def _shift(rng: np.random.Generator, sites: Sites, spacing: NDArray[np.float64]) -> Control:
    """Samples a shift by half a voxel along one to three axes: interpolation at its worst, and nothing to see."""
    site = _somewhere(rng, sites)
    halves = rng.choice((-0.5, 0.0, 0.5), size=3)
    halves[int(rng.integers(3))] = 0.5
    moved = spacing @ halves
    size = round(float(np.linalg.norm(moved)), 3)
    return Bend(ControlFacts("control_shift", vector(site), size), vector(moved), 5.0, float(rng.uniform(4.0, 14.0)))


def _canal(rng: np.random.Generator, sites: Sites, spacing: NDArray[np.float64]) -> Control:  # noqa: ARG001  # one table
    site, wide = _somewhere(rng, sites), float(rng.uniform(0.35, 1.1))
    ends = []
    for _ in range(int(rng.integers(1, 4))):
        start = site + rng.normal(0, 1.5, 3)
        ends.append((vector(start), vector(start + _direction(rng) * rng.uniform(5, 16))))
    return Canals(ControlFacts("control_canal", vector(site), round(2 * wide, 3)), tuple(ends), wide)


def _bright(rng: np.random.Generator, sites: Sites, spacing: NDArray[np.float64]) -> Control:  # noqa: ARG001  # one table
    return _specks(rng, sites, "control_bright_speck", float(rng.uniform(150, 900)))


def _dark(rng: np.random.Generator, sites: Sites, spacing: NDArray[np.float64]) -> Control:  # noqa: ARG001  # one table
    return _specks(rng, sites, "control_dark_speck", -float(rng.uniform(150, 900)))


def _specks(rng: np.random.Generator, sites: Sites, kind: str, hu: float) -> Specks:
    site, radius = _somewhere(rng, sites), float(rng.uniform(0.7, 1.8))
    middles = tuple(vector(site + rng.normal(0, 4.0, 3)) for _ in range(int(rng.integers(1, 6))))
    return Specks(ControlFacts(kind, vector(site), round(2 * radius, 3)), middles, radius, hu)


_MAKERS: dict[str, Callable[[np.random.Generator, Sites, NDArray[np.float64]], Control]] = {
    "control_bend": _bend,
    "control_shift": _shift,
    "control_canal": _canal,
    "control_bright_speck": _bright,
    "control_dark_speck": _dark,
}
CONTROLS = tuple(_MAKERS)
"""Every kind of control."""


def _somewhere(rng: np.random.Generator, sites: Sites) -> Site:
    """Samples a place where fractures are at home as well."""
    side = LEFT if rng.random() < 0.5 else RIGHT
    homes = (
        np.zeros(3),
        sites.front,
        sites.pillar[side],
        sites.pedicle[side],
        sites.lamina[side],
        sites.transverse[side],
        sites.arch,
        0.5 * (sites.arch + sites.spinous),
        sites.dens_base,
    )
    return np.asarray(homes[int(rng.integers(len(homes)))] + rng.normal(0, 1.5, 3), dtype=np.float64)


def _direction(rng: np.random.Generator) -> Site:
    way = rng.normal(0, 1, 3)
    return np.asarray(way / np.linalg.norm(way))


def _away(points: Points, site: Vector) -> Field:
    return np.sqrt(np.sum((points - np.asarray(site, dtype=np.float32)[:, None]) ** 2, axis=0))


def _from_line(points: Points, start: Vector, end: Vector) -> Field:
    """Returns the distance to a stretch of a line."""
    first = np.asarray(start, dtype=np.float32)[:, None]
    way = np.asarray(end, dtype=np.float32)[:, None] - first
    share = np.clip(np.sum((points - first) * way, axis=0) / float(np.sum(way**2)), 0, 1)
    return np.sqrt(np.sum((points - first - share * way) ** 2, axis=0))
