"""Things in and around a neck, and how they are painted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid, Vector
from cspine.phantoms.flesh import skin_mm
from cspine.phantoms.shapes import Capsule, Field, Points, Shape
from cspine.phantoms.tissue import Tissue

_SEAM_MM = 1.5


class Device(Protocol):
    """Something that is not the patient."""

    @property
    def kind(self) -> str:
        """For instance ``endotracheal_tube``."""
        ...

    def paint(self, grid: Grid, hu: NDArray[np.float32]) -> None:
        """Paints it over what is there, in place; ``hu`` is ``(z, y, x)`` on ``grid``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The voxels of a grid around something.

    Attributes:
        grid: The whole grid.
        start: First index.
        stop: Last index but one.
    """

    grid: Grid
    start: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def around(cls, grid: Grid, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]) -> "Window | None":
        """The voxels near a world box, or ``None``."""
        corners = np.stack(np.meshgrid(*zip(low_mm, high_mm, strict=True), indexing="ij"), axis=-1).reshape(8, 3)
        index = grid.index(corners)
        start = np.maximum(np.floor(index.min(axis=0)).astype(np.intp), 0)
        stop = np.minimum(np.ceil(index.max(axis=0)).astype(np.intp) + 1, grid.shape)
        return cls(grid, start, stop) if np.all(stop > start) else None

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where they are in an array of the whole grid."""
        z, y, x = (slice(int(a), int(b)) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    def points(self) -> Points:
        """Their world coordinates, ``(3, z, y, x)``."""
        index = [np.arange(a, b) for a, b in zip(self.start, self.stop, strict=True)]
        matrix, first = self.grid.affine[:3, :3], self.grid.affine[:3, 3]
        out = np.empty((3, *(len(one) for one in index)), np.float32)
        for axis in range(3):
            z, y, x = (matrix[axis, a] * index[a] for a in range(3))
            out[axis] = (first[axis] + z)[:, None, None] + y[:, None] + x
        return out


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
    """

    kind: str
    path_mm: NDArray[np.float64] = field(repr=False)
    outer_mm: float
    inner_mm: float
    wall_hu: float
    filling_hu: float
    line_hu: float = 0.0

    def paint(self, grid: Grid, hu: NDArray[np.float32]) -> None:
        """Wall, then filling, then line."""
        _paint_path(self.path_mm, grid, hu, ((self.outer_mm, self.wall_hu), (self.inner_mm, self.filling_hu)))
        if self.line_hu:
            beside = self.path_mm + np.array([0.0, (self.outer_mm + self.inner_mm) / 2, 0.0])
            _paint_path(beside, grid, hu, ((0.45, self.line_hu),))


@dataclass(frozen=True, slots=True, eq=False)
class Implant:
    """Solids of one material.

    Attributes:
        kind: What it is.
        shapes: Its parts in the world.
        hu: Its density.
    """

    kind: str
    shapes: tuple[Shape, ...] = field(repr=False)
    hu: float

    def paint(self, grid: Grid, hu: NDArray[np.float32]) -> None:
        """Each part."""
        edges = np.ascontiguousarray(grid.affine[:3, :3], dtype=np.float32)
        for shape in self.shapes:
            window = Window.around(grid, *shape.box_mm())
            if window is not None:
                points = window.points()
                _blend(hu[window.slices], shape.distance(points), shape.width(points, edges), self.hu)


@dataclass(frozen=True, slots=True)
class Slab:
    """A box with rounded edges, in its own frame."""

    half_mm: Vector
    round_mm: float = 0.6

    def distance(self, points: Points) -> Field:
        """Signed distance."""
        half = np.asarray(self.half_mm, dtype=np.float32).reshape(3, *[1] * (points.ndim - 1)) - np.float32(self.round_mm)
        over = np.abs(points) - half
        outside = np.sqrt(np.sum(np.maximum(over, 0) ** 2, axis=0))
        return np.asarray(outside + np.minimum(over.max(axis=0), 0) - np.float32(self.round_mm), dtype=np.float32)

    def box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The box and a little more."""
        half = np.asarray(self.half_mm) + 1.5
        return -half, half

    def width(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """The same in all directions."""
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

    def paint(self, grid: Grid, hu: NDArray[np.float32]) -> None:
        """Only where there is air: crops around the spine are left alone quickly."""
        air = np.argwhere(hu < -500)
        if not len(air):
            return
        start, stop = air.min(axis=0), air.max(axis=0) + 1
        shape = int(stop[0] - start[0]), int(stop[1] - start[1]), int(stop[2] - start[2])
        outside = skin_mm(self.tissue, grid.part(start, shape)) - np.float32(self.gap_mm)
        window = Window(grid, start, stop)
        low, high = self.heights_mm
        z = window.points()[2]
        within = np.minimum(z - low, high - z)
        width = np.full(shape, max(grid.spacing_mm), np.float32)
        part = hu[window.slices]
        within = np.where(part < -500, within, np.float32(-99))  # it yields to all else
        for inner, thick, density in ((0.0, self.foam_mm, self.foam_hu), (self.foam_mm, self.shell_mm, self.shell_hu)):
            across = np.abs(outside - np.float32(inner + thick / 2)) - np.float32(thick / 2)
            _blend(part, np.maximum(across, -within), width, density)


@dataclass(frozen=True, slots=True)
class Table:
    """A curved table top of two thin carbon shells with foam between.

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

    def paint(self, grid: Grid, hu: NDArray[np.float32]) -> None:
        """Both shells, and the foam."""
        x, y = self.middle_mm
        far = 1e4
        rise = 260**2 / (2 * self.radius_mm)
        low, high = np.array([x - 260, y - rise - 3, -far]), np.array([x + 260, y + self.thick_mm + 3, far])
        window = Window.around(grid, low, high)
        if window is None:
            return
        points = window.points()
        below = points[1] - np.float32(y) + (points[0] - np.float32(x)) ** 2 / np.float32(2 * self.radius_mm)
        side = np.abs(points[0] - np.float32(x)) - 250
        width = np.full(below.shape, max(grid.spacing_mm), np.float32)
        part = hu[window.slices]
        half = np.float32(self.thick_mm / 2)
        _blend(part, np.maximum(np.abs(below - half) - half, side), width, -960.0)
        for shell in (0.0, self.thick_mm):
            _blend(part, np.maximum(np.abs(below - np.float32(shell)) - 0.8, side), width, self.shell_hu)


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
        """The tooth keeps its shape."""
        return distance

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:  # noqa: ARG002
        """Metal instead of enamel."""
        low, high = self.heights_mm
        inside = (points[2] >= low) & (points[2] <= high)
        for axis in range(2):
            inside &= (points[axis] >= self.low_mm[axis]) & (points[axis] <= self.high_mm[axis])
        around = np.arctan2(points[0], -(points[1] - np.float32(self.high_mm[1])))
        metal = inside & np.isin(np.floor(around * np.float32(14 / np.pi)), self.teeth)
        return np.where(metal, np.float32(self.hu), hu).astype(np.float32)


def _paint_path(path: NDArray[np.float64], grid: Grid, hu: NDArray[np.float32], layers: Sequence[tuple[float, float]]) -> None:
    """Coats of decreasing radius along a path."""
    reach = max(radius for radius, _ in layers) + _SEAM_MM + max(grid.spacing_mm)
    window = Window.around(grid, path.min(axis=0) - reach, path.max(axis=0) + reach)
    if window is None:
        return
    away = np.full(window.stop - window.start, 99.0, np.float32)
    for start, end in pairwise(path):
        near = Window.around(grid, np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        if near is not None:
            inner = tuple(slice(int(a), int(b)) for a, b in zip(near.start - window.start, near.stop - window.start, strict=True))
            rod = Capsule((start[0], start[1], start[2]), (end[0], end[1], end[2]), 0.0)
            away[inner] = np.minimum(away[inner], rod.distance(near.points()))
    width = np.full(away.shape, 1.2 * float(np.mean(grid.spacing_mm)), np.float32)
    for radius, density in layers:
        if radius > 0:
            _blend(hu[window.slices], away - np.float32(radius), width, density)


def _blend(part: NDArray[np.float32], outside: Field, width: Field, hu: float) -> None:
    """Paints one material, weighed by how much of a voxel it takes, in place."""
    share = np.clip(0.5 - outside / width, 0, 1)
    part += share * (np.float32(hu) - part)
