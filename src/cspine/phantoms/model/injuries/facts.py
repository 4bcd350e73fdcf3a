"""Defines what an injury is to a truth table and to a renderer."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.geometry import Vector
from cspine.phantoms.model.shapes import Field, Points


@dataclass(frozen=True, slots=True)
class InjuryFacts:
    """Holds what a truth table says about an injury.

    Attributes:
        level: The fractured vertebra.
        kind: For instance ``spinous_process``; see :data:`cspine.phantoms.model.injuries.kinds.FREQUENCIES`.
        side: ``left``, ``right``, ``both`` or ``middle``.
        site_mm: Its middle in the bone's own frame, ``(x, y, z)``.
        gap_mm: Width of the fracture line before anything moved.
        displacement_mm: How far the fragment that moved most went.
        angulation_deg: How far it turned.
        severity: 0 is a hairline, 1 a gross fracture; everything else follows from it and from chance.
    """

    level: Level
    kind: str
    side: str
    site_mm: Vector
    gap_mm: float
    displacement_mm: float
    angulation_deg: float
    severity: float


@dataclass(frozen=True, slots=True, eq=False)
class FractureLine:
    """The fracture line as seen from some voxels.

    Attributes:
        share: How much of the voxel it takes, 0..1.
        away_mm: Distance to its nearest wall, 0 within.
    """

    share: Field
    away_mm: Field


class Injury(Protocol):
    """Something that broke a bone."""

    @property
    def facts(self) -> InjuryFacts:
        """Returns what a truth table says about it."""
        ...

    @property
    def spread_mm(self) -> float:
        """Returns the farthest that any bone moved."""
        ...

    def undo(self, points: Points) -> Points:
        """Returns where the bone that is now at ``(3, ...)`` points was before the injury."""
        ...

    def fracture_line(self, points: Points, edges: NDArray[np.float32]) -> FractureLine:
        """Returns the fracture line at voxels around ``(3, n)`` points; columns of ``edges``, ``(3, 3)``, are a voxel's edges."""
        ...

    def density(self, points: Points, hu: Field) -> Field:
        """Returns HU of the bone now at ``(3, n)`` points, which would be ``hu`` had it not been crushed."""
        ...
