"""Foreign objects in and around a neck, as parameters; :mod:`cspine.phantoms.ct.devices` renders them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Vector
from cspine.phantoms.model.shapes import Field, ImplicitShape, Points
from cspine.phantoms.model.tissue import Tissue


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A bent tube with a wall, what is in it, and often a line in its wall that X-rays show.

    Attributes:
        kind: What it is.
        path_mm: World points along it, ``(n, 3)``.
        outer_mm: Outer radius.
        inner_mm: Inner radius, 0 for a rod.
        wall_hu: The wall.
        filling_hu: What is in it.
        line_hu: The line, 0 for none.
        outside: Whether it lies beside the body only, not in it.
    """

    kind: str
    path_mm: NDArray[np.float64] = field(repr=False)
    outer_mm: float
    inner_mm: float
    wall_hu: float
    filling_hu: float
    line_hu: float = 0.0
    outside: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Implant:
    """Solids of one material.

    Attributes:
        kind: What it is.
        shapes: Its parts in the world.
        hu: Its density.
    """

    kind: str
    shapes: tuple[ImplicitShape, ...] = field(repr=False)
    hu: float


@dataclass(frozen=True, slots=True)
class Slab:
    """A box with rounded edges, in its own frame."""

    half_mm: Vector
    round_mm: float = 0.6

    def distance(self, points: Points) -> Field:
        """Returns signed distance."""
        half = np.asarray(self.half_mm, dtype=np.float32).reshape(3, *[1] * (points.ndim - 1)) - np.float32(self.round_mm)
        over = np.abs(points) - half
        outside = np.sqrt(np.sum(np.maximum(over, 0) ** 2, axis=0))
        return np.asarray(outside + np.minimum(over.max(axis=0), 0) - np.float32(self.round_mm), dtype=np.float32)

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the box and a little more."""
        half = np.asarray(self.half_mm) + 1.5
        return -half, half

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns one width for all directions."""
        return np.full(points.shape[1:], 0.5 * float(np.linalg.norm(edges, axis=0).sum()), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Collar:
    """A stiff collar around the neck: foam on the skin, a plastic shell outside.

    Attributes:
        tissue: The neck whose skin it follows.
        heights_mm: World z of its lower and its upper edge.
        gap_mm: Air under it.
        foam_mm: Thickness of the foam.
        shell_mm: Thickness of the shell.
        foam_hu: The foam.
        shell_hu: The shell.
        kind: What it is.
    """

    tissue: Tissue = field(repr=False)
    heights_mm: tuple[float, float]
    gap_mm: float
    foam_mm: float
    shell_mm: float
    foam_hu: float
    shell_hu: float
    kind: str = "collar"


@dataclass(frozen=True, slots=True)
class CouchTop:
    """A curved couch top of two thin carbon shells with foam between.

    Attributes:
        middle_mm: World x and y of its lowest line.
        radius_mm: How it is curved.
        shell_hu: The shells.
        thick_mm: From shell to shell.
        kind: What it is.
    """

    middle_mm: tuple[float, float]
    radius_mm: float
    shell_hu: float
    thick_mm: float = 40.0
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Crowns:
    """Some metal among the teeth: a change of a jaw, by the number of the tooth.

    Attributes:
        low_mm: Lowest corner of the box of teeth, in the jaw's own frame.
        high_mm: Highest corner.
        teeth: Numbers from the middle, -7 to 6.
        heights_mm: From where to where along z it is metal.
        hu: Its density.
        kind: What it is.
    """

    low_mm: Vector
    high_mm: Vector
    teeth: tuple[int, ...]
    heights_mm: tuple[float, float]
    hu: float
    kind: str = "dental_metal"
    spare_mm: float = 0.0

    def reshape(self, points: Points, distance: Field) -> Field:  # noqa: ARG002
        """Leaves the tooth in its shape."""
        return distance

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:  # noqa: ARG002
        """Puts metal instead of enamel."""
        low, high = self.heights_mm
        inside = (points[2] >= low) & (points[2] <= high)
        for axis in range(2):
            inside &= (points[axis] >= self.low_mm[axis]) & (points[axis] <= self.high_mm[axis])
        around = np.arctan2(points[0], -(points[1] - np.float32(self.high_mm[1])))
        metal = inside & np.isin(np.floor(around * np.float32(14 / np.pi)), self.teeth)
        return np.where(metal, np.float32(self.hu), hu).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """Describes what a patient lies on, soft or hard: it is where the body is not.

    Attributes:
        kind: For instance ``headrest``.
        shapes: Its parts in the world.
        hu: Its density.
    """

    kind: str
    shapes: tuple[ImplicitShape, ...] = field(repr=False)
    hu: float


@dataclass(frozen=True, slots=True, eq=False)
class FaceMask:
    """A perforated thermoplastic mask over face and throat, as radiotherapy uses it.

    Attributes:
        tissue: The body whose skin it follows.
        heights_mm: World z of its lower and its upper edge.
        behind_mm: World y behind which there is none.
        gap_mm: Air under it.
        shell_mm: Its thickness.
        shell_hu: Its density.
        kind: What it is.
    """

    tissue: Tissue = field(repr=False)
    heights_mm: tuple[float, float]
    behind_mm: float
    gap_mm: float
    shell_mm: float
    shell_hu: float
    kind: str = "face_mask"


HardwareDevice = Tube | Implant | Collar | CouchTop | Support | FaceMask
"""Something that is not the patient. Crowns are a change of a jaw, and no device."""
