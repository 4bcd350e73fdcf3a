"""Parts of a vertebra against one another: discs, pedicles, facets, laminae, spinous process, as one smooth deformation.

The deformation is a composition of maps, each of which moves points along one axis only, by an amount that follows from their other
coordinates, and rises strictly along its own axis. So it is one-to-one: a surface that does not meet itself at rest does not meet
itself after it. What neighbours share (pedicles, facets, width and tilt of the arch) moves both sides of a joint alike, so that
joints stay as wide as they were.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Sites
from cspine.phantoms.model.shapes import Field, Points

_DISC_SHARE = 0.4
"""Height of a disc against that of a body."""

_STEP_MM = 0.25
_LONGEST_TAIL_MM = 90.0
_PEDICLE_MM = 5.5
"""Over this depth pedicles are stretched or shortened."""

_LATERAL_MM = (9.0, 13.0)
"""Beside the canal, pedicles begin; beside the facets, which lie as far forward as the back wall of the body, they have ended."""

_FACETS_BEFORE_MM = 7.0
_WIDEST_MM = 30.0
_LEANEST = 1.2


@dataclass(frozen=True, slots=True)
class Proportions:
    """Parts of a vertebra against those of its anatomy; see :class:`cspine.phantoms.model.variation.ProportionRanges`."""

    disc_height: float = 1.0
    pedicle_mm: float = 0.0
    facet_deg: float = 0.0
    lamina_height: float = 1.0
    lamina_slope_deg: float = 0.0
    spinous_length: float = 1.0
    spinous_height: float = 1.0
    spinous_slope_deg: float = 0.0
    arch_width: float = 1.0
    arch_tilt_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Hinges:
    """Says where the parts of a bone pass into one another, in its own frame at rest.

    Attributes:
        level: The vertebra.
        back_mm: Where pedicles leave the body, along y.
        canal_mm: Middle of the canal, along y.
        lamina_mm: Front of the lamina, along y.
        lamina_z_mm: Its height.
        facets: Where the line from the lower to the upper facet meets height 0, along y, and how far it goes back for each
            millimetre up.
        tip_mm: Tip of the spinous process, along y and z.
    """

    level: Level
    back_mm: float
    canal_mm: float
    lamina_mm: float
    lamina_z_mm: float
    facets: tuple[float, float]
    tip_mm: tuple[float, float]

    @classmethod
    def of(cls, level: Level, canal_mm: float, canal_depth_mm: float, sites: Sites) -> "Hinges":
        """Returns the hinges of a bone.

        Args:
            level: The vertebra.
            canal_mm: Middle of its canal, along y.
            canal_depth_mm: Depth of its canal.
            sites: Its parts at rest.
        """
        ring = level is Level.C1
        back = canal_mm if ring else canal_mm - canal_depth_mm / 2
        lamina = canal_mm + canal_depth_mm / 2
        up, down = (np.mean([facet[side] for side in (LEFT, RIGHT)], axis=0) for facet in (sites.facet_up, sites.facet_down))
        lean = float(np.clip((up[1] - down[1]) / max(up[2] - down[2], 4.0), -_LEANEST, _LEANEST))
        tip = max(float(sites.spinous[1]), lamina + 8.0), float(sites.spinous[2])
        return cls(level, back, canal_mm, lamina, float(sites.arch[2]), (float(up[1] - lean * up[2]), lean), tip)


@dataclass(frozen=True, slots=True, eq=False)
class Deformation:
    """A smooth one-to-one map from a bone at rest to the same bone with other proportions.

    Attributes:
        proportions: The proportions.
        hinges: Where parts pass into one another.
    """

    proportions: Proportions
    hinges: Hinges
    _pedicle: NDArray[np.float64] = field(init=False, repr=False)
    _tail: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        along = np.linspace(0, 1, 65)
        lengthened = self.proportions.pedicle_mm * (along - np.sin(2 * np.pi * along) / (2 * np.pi))
        object.__setattr__(self, "_pedicle", np.stack([along * _PEDICLE_MM, along * _PEDICLE_MM + lengthened]))
        rest = np.arange(0.0, _LONGEST_TAIL_MM, _STEP_MM)
        speed = 1 + (self.proportions.spinous_length - 1) * _rise(rest + _STEP_MM / 2, 0.0, 5.0)
        object.__setattr__(self, "_tail", np.stack([rest, np.concatenate([[0.0], np.cumsum(speed[:-1] * _STEP_MM)])]))

    def rest(self, points: Points) -> Points:
        """Returns where ``(3, ...)`` points of the deformed bone lie at rest."""
        x = np.asarray(points[0] / self._width(points[1]), dtype=np.float32)
        y = self._without_pedicle(x, self._along_tail(points[1], self._tail[1], self._tail[0]))
        front, arch, about = self._height(x, y)
        level_z = points[2] - self._shift(x, y) + about
        z = level_z / (1 + arch + self._of_front(front, level_z))
        return np.stack([x, y, z]).astype(np.float32)

    def now(self, points: Points) -> Points:
        """Returns where ``(3, ...)`` points of the bone at rest lie after the deformation."""
        x, y, z = points
        front, arch, about = self._height(x, y)
        deformed = z * (1 + self._of_front(front, z) + arch) - about + self._shift(x, y)
        back = self._along_tail(self._with_pedicle(x, y), self._tail[0], self._tail[1])
        return np.stack([x * self._width(back), back, deformed]).astype(np.float32)

    def moved_sites(self, sites: Sites) -> Sites:
        """Returns sites of the bone at rest, where they lie after the deformation."""
        top = self.now(np.array([[0.0], [0.0], [float(sites.half_mm[2])]], dtype=np.float32))
        wide, deep, _ = sites.half_mm
        tall = float(sites.half_mm[2]) if self.hinges.level <= Level.C2 else float(top[2, 0])
        return replace(sites.moved(self.now), half_mm=np.array([wide, deep, tall]))

    def reach_mm(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        """Returns the farthest that anything in a box at rest moves."""
        lattice = self._lattice(low, high)
        return float(np.linalg.norm(self.now(lattice) - lattice, axis=0).max())

    def steepness(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        """Returns by what factor distances in a deformed box may seem too large, at most."""
        lattice = self._lattice(low, high)
        slopes = []
        for axis in range(3):
            step = np.zeros((3, 1), np.float32)
            step[axis] = 0.5
            slopes.append((self.rest(lattice + step) - self.rest(lattice - step)).reshape(3, -1))
        return float(np.linalg.norm(np.stack(slopes, axis=1).transpose(2, 0, 1), ord=2, axis=(1, 2)).max())

    @staticmethod
    def _lattice(low: NDArray[np.float64], high: NDArray[np.float64]) -> Points:
        axes = [np.linspace(a, b, 14) for a, b in zip(low, high, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1).astype(np.float32)

    def _first_mm(self, x: Field) -> Field:
        """Returns where pedicles begin, along y."""
        if self.hinges.level is Level.C1:  # a ring: it is longer or shorter behind its lateral masses
            return np.full_like(x, self.hinges.back_mm)
        return np.asarray(self.hinges.back_mm - _FACETS_BEFORE_MM * _rise(np.abs(x), *_LATERAL_MM), dtype=np.float32)

    def _with_pedicle(self, x: Field, y: Field) -> Field:
        first = self._first_mm(x)
        return np.asarray(y + np.interp(y - first, self._pedicle[0], self._pedicle[1] - self._pedicle[0]), dtype=np.float32)

    def _without_pedicle(self, x: Field, y: Field) -> Field:
        first = self._first_mm(x)
        return np.asarray(y + np.interp(y - first, self._pedicle[1], self._pedicle[0] - self._pedicle[1]), dtype=np.float32)

    def _along_tail(self, y: Field, before: NDArray[np.float64], after: NDArray[np.float64]) -> Field:
        """Returns ``y`` with the spinous process of another length; its beginning moved with the pedicles."""
        if self.hinges.level is Level.C1 or self.proportions.spinous_length == 1.0:
            return y
        begins = np.float32(self.hinges.lamina_mm + 1 + self.proportions.pedicle_mm)
        return np.asarray(y + np.interp(y - begins, before, after - before), dtype=np.float32)

    def _width(self, y: Field) -> Field:
        if self.proportions.arch_width == 1.0 or self.hinges.level is Level.C1:
            return np.ones_like(y)
        return 1 + np.float32(self.proportions.arch_width - 1) * _rise(y, self.hinges.back_mm - 5, self.hinges.back_mm + 1)

    def _height(self, x: Field, y: Field) -> tuple[Field, Field, Field]:
        """Returns by how much body and arch grow taller, and how much of that is about another height than 0."""
        made, hinge = self.proportions, self.hinges
        loss = (made.disc_height - 1) * _DISC_SHARE
        front = np.float32(0.0 if hinge.level is Level.C1 else -loss) * (1 - _rise(y, hinge.back_mm - 4, hinge.back_mm + 2))
        medial = 1 - _rise(np.abs(x), 7.0, 13.0)
        behind = _rise(y, hinge.canal_mm, hinge.lamina_mm)
        tail = np.zeros_like(y) if hinge.level is Level.C1 else _rise(y, hinge.lamina_mm + 3, hinge.lamina_mm + 9)
        facets = np.zeros_like(x) if hinge.level is Level.C1 else self._facets(x, y) * np.float32(hinge.facets[1])
        arch = facets + medial * behind * (
            np.float32(made.lamina_height - 1) * (1 - tail) + np.float32(made.spinous_height - 1) * tail
        )
        share = np.clip((y - hinge.lamina_mm) / (hinge.tip_mm[0] - hinge.lamina_mm), 0, 1)
        middle = hinge.lamina_z_mm + share * (hinge.tip_mm[1] - hinge.lamina_z_mm)
        about = (arch - facets) * middle
        return np.asarray(front), np.asarray(arch, dtype=np.float32), np.asarray(about, dtype=np.float32)

    def _of_front(self, front: Field, z: Field) -> Field:
        """Returns how much of the front changes height: of C2 only what lies below its middle, not the dens and around it."""
        return front * (z < 0) if self.hinges.level is Level.C2 else front

    def _behind(self, x: Field, y: Field) -> Field:
        """Returns 0 in the body, 1 from the facets on."""
        first = self._first_mm(x)
        return _rise(y - first, 0.0, _PEDICLE_MM)

    def _facets(self, x: Field, y: Field) -> Field:
        """Returns the slope that is added to the facets, where they are."""
        return _slope(self.proportions.facet_deg) * _rise(np.abs(x), 7.0, 13.0) * self._behind(x, y)

    def _shift(self, x: Field, y: Field) -> Field:
        """Returns how far points rise, whatever their own height."""
        made, hinge = self.proportions, self.hinges
        if hinge.level is Level.C1:
            return np.zeros_like(x)
        lateral = _rise(np.abs(x), 7.0, 13.0)
        facets = -self._facets(x, y) * (y - np.float32(hinge.facets[0]))
        depth = hinge.lamina_mm + 4 - hinge.canal_mm
        lamina = -_slope(made.lamina_slope_deg) * depth * _rise(y, hinge.canal_mm, hinge.lamina_mm + 4)
        tail = np.maximum(y - hinge.lamina_mm - 2, 0)
        spinous = -_slope(made.spinous_slope_deg) * tail * tail / (tail + 4)
        tilt = _slope(made.arch_tilt_deg) * np.clip(x, -_WIDEST_MM, _WIDEST_MM)
        return np.asarray(facets + self._behind(x, y) * tilt + (1 - lateral) * (lamina + spinous), dtype=np.float32)


def _rise(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.floating]:
    """Returns 0 below, 1 above, smooth between (Hermite)."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), dtype=values.dtype)


def _slope(angle_deg: float) -> np.float32:
    return np.float32(np.tan(np.radians(angle_deg)))
