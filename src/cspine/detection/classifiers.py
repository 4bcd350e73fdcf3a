"""Defines what every classifier gives for a study whose vertebrae are known."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.detection.clock import Clock
from cspine.evidence import HeatMap
from cspine.geometry import Vector
from cspine.locating import Located
from cspine.results import Box, Reason
from cspine.volume import Volume


@dataclass(frozen=True, slots=True)
class Spot:
    """Says where to look first for a fracture of a level.

    Attributes:
        point_mm: The place, LPS ``(x, y, z)``.
        box_mm: What looks fractured around it; ``None`` where the network does not say.
    """

    point_mm: Vector
    box_mm: Box | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """Holds what a network predicted for a study.

    Attributes:
        scores: Overall and C1..C7, 0..1, not calibrated, 0 for levels that were not assessed, ``(8,)``.
        tta_scores: The same for each pass of test-time augmentation, ``(passes, 8)``; empty where there is but one.
        spots: Of C1..C7 where to look; ``None`` for levels that were not assessed.
        heat: How strongly each voxel speaks for a fracture, where the network predicts it.
        reasons: What to mind about the scan.
        refusals: What forbids assessing it after all.
    """

    scores: NDArray[np.float64]
    tta_scores: NDArray[np.float64]
    spots: tuple[Spot | None, ...]
    heat: HeatMap | None = field(default=None, repr=False)
    reasons: tuple[Reason, ...] = ()
    refusals: tuple[Reason, ...] = ()

    @classmethod
    def none(cls, refusals: tuple[Reason, ...]) -> "Classification":
        """Returns the classification of a scan that is not assessed after all."""
        outputs = len(CERVICAL) + 1
        return cls(np.zeros(outputs), np.empty((0, outputs)), (None,) * len(CERVICAL), refusals=refusals)


class Classifier(Protocol):
    """A network that is loaded and classifies studies whose vertebrae are known."""

    def __call__(self, volume: Volume, located: Located, clock: Clock) -> Classification:
        """Returns what it predicts for a study.

        Args:
            volume: The scan.
            located: Its vertebrae, one at least.
            clock: Times cutting and classifying.

        Raises:
            PackageError: The network does not do what its manifest says.
        """
        ...
