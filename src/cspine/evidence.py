"""Holds what a result rests on, voxel by voxel, for pictures and for archives."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.errors import GeometryError
from cspine.geometry import Grid
from cspine.results import StudyResult
from cspine.volume import LabelMap


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """Describes how strongly each voxel speaks for a fracture.

    Attributes:
        values: 0..1, not calibrated, ``(z, y, x)``.
        grid: Where the voxels lie; coarser than the scan.
    """

    values: NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape or self.values.dtype != np.float32:
            wanted = f"float32 of shape {self.grid.shape}"
            raise GeometryError(
                f"A heat map must be {wanted}, as its grid says. Received: {self.values.dtype}, {self.values.shape}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Holds what a result rests on; each part is ``None`` where the package does not give it, or the study was rejected before.

    Attributes:
        labels: Which vertebra each voxel belongs to.
        heat: Where the network sees a fracture.
        line_mm: The line through bodies and canal, from the feet, LPS ``(k, 3)``.
    """

    labels: LabelMap | None = field(default=None, repr=False)
    heat: HeatMap | None = field(default=None, repr=False)
    line_mm: NDArray[np.float64] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A result with its evidence.

    Attributes:
        result: What is said.
        evidence: What it rests on.
    """

    result: StudyResult
    evidence: Evidence = field(default_factory=Evidence)
