"""Holds what a localiser finds: vertebrae, their labels, and what witnesses say of their names."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.geometry import Vector
from cspine.results import Box, LevelStatus, Reason
from cspine.volume import LabelMap

SURE = 0.7
"""A level whose name is less sure than this is uncertain."""


class Question(StrEnum):
    """Names the question that a witness answers.

    Whether slices follow one another, the front is in front, the head is above the feet, and the spine is that of the neck.
    """

    SLICES = "slices"
    FRONT = "front"
    HEAD = "head"
    REGION = "region"


@dataclass(frozen=True, slots=True)
class Witness:
    """Holds the evidence of one observation on how a scan is stored.

    Attributes:
        name: A short stable name.
        question: Which one it answers.
        log_ratio: Log-likelihood ratio; above 0 speaks for a neck that is stored as the header says.
        text: What was observed, in one sentence.
    """

    name: str
    question: Question
    log_ratio: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Vertebra:
    """A vertebra in a scan.

    Attributes:
        level: Which one.
        status: Whether it is seen whole, in part, or its name is uncertain.
        confidence: How sure its name is, 0..1.
        centre_mm: Centroid of what is seen of it, LPS ``(x, y, z)``.
        box_mm: What holds it.
        axis: Unit vector along the spine at its height, towards the head, LPS.
        agreement: Share of its voxels that the network by itself calls so, 0..1; the order has renamed the others.
    """

    level: Level
    status: LevelStatus
    confidence: float
    centre_mm: Vector
    box_mm: Box
    axis: Vector
    agreement: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """The cervical spine in a scan.

    Attributes:
        vertebrae: What is seen of C1..C7, head to chest.
        labels: Value of the level at each voxel; T1 for any further vertebra, :data:`cspine.anatomy.OTHER_BONE` for other bone.
        line_mm: The line through bodies and canal, from the feet, LPS ``(k, 3)``.
        reasons: Why names are not sure, where witnesses spoke against them.
        witnesses: The evidence on how the scan is stored.
        magnification: By how much the scan was enlarged before it was located; above 1 for a child's neck.
    """

    vertebrae: tuple[Vertebra, ...]
    labels: LabelMap
    line_mm: NDArray[np.float64]
    reasons: tuple[Reason, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    magnification: float = 1.0

    def vertebra(self, level: Level) -> Vertebra | None:
        """Returns that one, if it is seen."""
        return next((found for found in self.vertebrae if found.level is level), None)
