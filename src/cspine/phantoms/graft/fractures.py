"""Samples the fractures of a graft with the generator that phantoms have, and some that are wider and farther apart."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cspine.phantoms.graft.outlining import RealBone
from cspine.phantoms.model.injuries import Fracture, Piece, sample_injuries
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.shapes import Field, Points

_WIDE_SHARE = 0.15
"""Of the fractures: torn wide apart, so that fragments lie beyond the outline and gaps are as wide as joints."""

_WIDE_FROM = 0.4
"""Smallest severity of such a fracture."""

_WIDER = (1.4, 2.4)


@dataclass(frozen=True, slots=True, eq=False)
class FractureEdit:
    """Holds a fracture as an edit.

    Attributes:
        fracture: What breaks.
    """

    fracture: Fracture

    @property
    def spread_mm(self) -> float:
        """Returns the farthest that any bone moves."""
        return self.fracture.spread_mm

    def pieces(self, points: Points, blur: NDArray[np.float32]) -> list[Piece]:
        """Returns the fragments."""
        return self.fracture.pieces(points, blur)

    def density(self, points: Points, hu: Field) -> Field:
        """Returns HU of crushed bone."""
        return self.fracture.density(points, hu)

    def line_mm(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns the distance to the fracture line."""
        return self.fracture.fracture_line(points, edges).away_mm


def sample_fractures(rng: np.random.Generator, bone: RealBone, severity: tuple[float, float] | None) -> tuple[FractureEdit, ...]:
    """Samples one to three fractures of a vertebra.

    Args:
        rng: The only source of chance.
        bone: The vertebra.
        severity: From where to where, 0 (a hairline) to 1; as often as in phantoms if ``None``.
    """
    injuries = sample_injuries(rng, bone.level, bone.sites, severity)
    fractures = [injury for injury in injuries if isinstance(injury, Fracture)]
    factors = [float(rng.uniform(*_WIDER)) if rng.random() < _WIDE_SHARE else 1.0 for _ in fractures]
    return tuple(
        FractureEdit(torn(fracture, factor) if fracture.facts.severity >= _WIDE_FROM else fracture)
        for fracture, factor in zip(fractures, factors, strict=True)
    )


def torn(fracture: Fracture, factor: float) -> Fracture:
    """Returns the same fracture with its gap wider, and its fragments farther away, by a factor."""
    facts = fracture.facts
    motions = tuple(replace(motion, shift_mm=vector(factor * np.asarray(motion.shift_mm))) for motion in fracture.motions)
    wider = replace(facts, gap_mm=round(facts.gap_mm * factor, 3), displacement_mm=round(facts.displacement_mm * factor, 3))
    return replace(fracture, facts=wider, motions=motions)
