"""A fracture being sampled: chance, the sites of the bone, and what severity gives to every kind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cspine.anatomy import Level
from cspine.geometry import Vector
from cspine.phantoms.model.injuries.facts import InjuryFacts
from cspine.phantoms.model.injuries.pieces import Cut, Fence, Fracture, Motion
from cspine.phantoms.model.injuries.severity import Severity
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, SIDE_NAMES, Site, Sites


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Holds what every kind of fracture is sampled from.

    Attributes:
        rng: The only source of random numbers.
        level: The vertebra.
        sites: Its parts.
        severity: How bad it is.
    """

    rng: np.random.Generator
    level: Level
    sites: Sites
    severity: Severity

    def side(self) -> int:
        """Samples left or right."""
        return LEFT if self.rng.random() < 0.5 else RIGHT

    def near(self, place: ArrayLike, spread_mm: float = 1.0) -> Site:
        """Samples a place near another."""
        return np.asarray(place, dtype=np.float64) + self.rng.normal(0, spread_mm, 3)

    def towards(self, direction: ArrayLike, spread: float = 0.2) -> Site:
        """Returns a unit vector near a direction."""
        unit = np.asarray(direction, dtype=np.float64)
        turned = unit / np.linalg.norm(unit) + self.rng.normal(0, spread, 3)
        return np.asarray(turned / np.linalg.norm(turned))

    def cut(self, site: Site, normal: Site, half_mm: float = 5.0, *, behind: int = 0, ahead: int = 1) -> Cut:
        """Returns a cut from numbers."""
        return Cut(vector(site), vector(normal), behind, ahead, half_mm)

    def moved(self, pivot: Site, direction: ArrayLike, share: float = 1.0) -> Motion:
        """Samples how a fragment moves: about along ``direction``, ``share`` as far as the severity says, and turned a little."""
        way = self.towards(direction, 0.25) * self.severity.displacement_mm * share
        axis = self.rng.normal(0, 1, 3)
        turn = axis / np.linalg.norm(axis) * self.severity.angle_deg * share
        return Motion(vector(pivot), vector(turn), vector(way))

    def fracture(
        self, kind: str, side: int | str, cuts: Sequence[Cut], motions: Sequence[Motion], fences: Sequence[Site] = ()
    ) -> Fracture:
        """Returns the fracture; its site is the middle of its cuts."""
        site = np.mean([cut.site_mm for cut in cuts], axis=0)
        farthest = max((float(np.linalg.norm(motion.shift_mm)) for motion in motions), default=0.0)
        turned = max((float(np.linalg.norm(motion.turn_deg)) for motion in motions), default=0.0)
        facts = InjuryFacts(
            level=self.level,
            kind=kind,
            side=side if isinstance(side, str) else SIDE_NAMES[side],
            site_mm=vector(site),
            gap_mm=round(self.severity.gap_mm, 3),
            displacement_mm=round(farthest, 3),
            angulation_deg=round(turned, 2),
            severity=round(self.severity.share, 3),
        )
        return Fracture(
            facts,
            tuple(cuts),
            tuple(motions),
            tuple(Fence(vector(fence)) for fence in fences),
            roughness_mm=float(self.rng.uniform(0.25, 0.6)),
            seed=int(self.rng.integers(1 << 20)),
        )

    def local(self, fracture: Fracture, reach_mm: float) -> Fracture:
        """Returns the same, but ending within the bone ``reach_mm`` from its middle."""
        return replace(fracture, reach_mm=reach_mm)


def vector(numbers: ArrayLike) -> Vector:
    """Returns three numbers."""
    x, y, z = (float(n) for n in np.asarray(numbers, dtype=np.float64))
    return x, y, z
