"""Small alterations of a bone that old disease and chance of birth leave: slits, pits, spurs, canals, dense places.

Each is a :class:`cspine.phantoms.model.changes.BoneChange`, a function in the bone's own frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Vector
from cspine.phantoms.model.changes import BoneChange
from cspine.phantoms.model.shapes import Field, ImplicitShape, Points, near_box
from cspine.phantoms.model.texture import value_noise

_SOFT_MM = 0.5
"""Borders of density are as soft as this."""

_SEEN_MM = 4.0
"""So far from its surface a bone's distance is evaluated."""

_DENSEST_HU = 1000.0


@dataclass(frozen=True, slots=True)
class Slit:
    """A smooth gap with a cortex of its own on either side: what never fused, or parted long ago.

    Attributes:
        site_mm: Its middle.
        normal: Unit vector across it.
        gap_mm: Its width.
        reach_mm: How far from its middle it goes.
        round_mm: How round its edges are.
        rim: How dense the bone beside it became, 0..1.
        seed: How it is bent.
    """

    site_mm: Vector
    normal: Vector
    gap_mm: float
    reach_mm: float
    round_mm: float = 1.0
    rim: float = 0.3
    seed: int = 0
    spare_mm: float = 0.0

    def reshape(self, points: Points, distance: Field) -> Field:
        """Takes the gap away."""
        return smooth_most(distance, self._within(points), self.round_mm)

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Makes old borders dense."""
        near = np.exp(-((np.minimum(self._within(points), 0) / 1.5) ** 2))
        return denser(hu, self.rim * near)

    def _within(self, points: Points) -> Field:
        """Returns how deep in the gap points lie, negative outside."""
        away = points - column(self.site_mm, points)
        across = along(self.normal, away)
        across = across + np.float32(0.35) * value_noise(points, 9.0, self.seed)
        near = np.sqrt(np.sum(away**2, axis=0))
        return np.asarray(np.minimum(self.gap_mm / 2 - np.abs(across), self.reach_mm - near), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Pit:
    """A hollow with a dense rim: a Schmorl node, an erosion.

    Attributes:
        shape: What is hollowed out.
        round_mm: How round its edges are.
        rim: How dense its rim is, 0..1.
    """

    shape: ImplicitShape
    round_mm: float = 0.8
    rim: float = 0.6
    spare_mm: float = 0.0

    def reshape(self, points: Points, distance: Field) -> Field:
        """Takes the hollow away."""
        return smooth_most(distance, -self.shape.distance(points), self.round_mm)

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Makes bone dense around the hollow."""
        away = np.maximum(self.shape.distance(points), 0)
        return denser(hu, self.rim * np.exp(-((away / 1.5) ** 2)))


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """Bone that was added, and merges smoothly with what is there.

    Attributes:
        parts: What was added.
        spare_mm: How far it sticks out.
        merge_mm: Over what length it merges.
        solid: How compact it is, 0 like the rest of the bone, to 1.
    """

    parts: tuple[ImplicitShape, ...] = field(repr=False)
    spare_mm: float
    merge_mm: float = 1.5
    solid: float = 0.2

    def reshape(self, points: Points, distance: Field) -> Field:
        """Adds the parts."""
        out = distance.copy()
        flat, at = points.reshape(3, -1), out.reshape(-1)
        for part in self.parts:
            near = near_box(part, flat, _SEEN_MM)
            at[near] = -smooth_most(-at[near], -part.distance(flat[:, near]), self.merge_mm)
        return out

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Makes new bone compact, as it often is."""
        within = np.full(hu.shape, -np.inf, np.float32)
        for part in self.parts:
            near = near_box(part, points, 0.0)
            within[near] = np.maximum(within[near], -part.distance(points[:, near]))
        return denser(hu, self.solid * np.clip(0.5 + within / 2, 0, 1))


@dataclass(frozen=True, slots=True)
class Bump:
    """A place where bone became thicker.

    Attributes:
        centre_mm: Its middle.
        radii_mm: How far it goes along x, y, z.
        size_mm: By how much in the middle.
    """

    centre_mm: Vector
    radii_mm: Vector
    size_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Thickening:
    """Bone that became thicker: it keeps its outline, so that nothing floats.

    Attributes:
        bumps: Where; they add up.
        spare_mm: No more than this in all; distances are known to 4 mm.
        solid: How compact what was added is, 0 like the rest of the bone, to 1.
    """

    bumps: tuple[Bump, ...] = field(repr=False)
    spare_mm: float
    solid: float = 0.3

    def reshape(self, points: Points, distance: Field) -> Field:
        """Moves the surface outwards."""
        return np.asarray(distance - self._thicker(points), dtype=np.float32)

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Makes new bone compact, as it often is."""
        added = np.clip(1 + (distance + self._thicker(points)), 0, 1)  # 1 outside of what was there before
        return denser(hu, self.solid * added)

    def _thicker(self, points: Points) -> Field:
        out = np.zeros(points.shape[1:], np.float32)
        flat = points.reshape(3, -1)
        centres, radii = (np.array(values) for values in zip(*((b.centre_mm, b.radii_mm) for b in self.bumps), strict=True))
        near = np.arange(flat.shape[1])
        for axis, low, high in zip(flat, (centres - 2 * radii).min(axis=0), (centres + 2 * radii).max(axis=0), strict=True):
            here = axis[near]
            near = near[(here > low) & (here < high)]
        close = flat[:, near]
        added = np.zeros(len(near), np.float32)
        for bump in self.bumps:
            away = (close - column(bump.centre_mm, close)) / column(bump.radii_mm, close)
            added += np.float32(bump.size_mm) * np.exp(-np.sum(away**2, axis=0))
        out.reshape(-1)[near] = np.minimum(added, np.float32(self.spare_mm))
        return out


@dataclass(frozen=True, slots=True)
class Shaved:
    """Bone beyond a slightly uneven surface is gone, and a new cortex has formed: an old loss of height.

    Attributes:
        site_mm: On the surface.
        normal: Unit vector towards what is gone.
        wide_mm: Half the width of the body: beside it the surface rises by 3 mm, as uncinate processes stay.
        seed: Which unevenness.
    """

    site_mm: Vector
    normal: Vector
    wide_mm: float
    seed: int
    spare_mm: float = 0.0

    def reshape(self, points: Points, distance: Field) -> Field:
        """Takes what is beyond the plane."""
        away = points - column(self.site_mm, points)
        beyond = along(self.normal, away) + 0.3 * value_noise(points, 6.0, self.seed)
        beyond = beyond - 3 * (away[0] / self.wide_mm) ** 4
        return smooth_most(distance, np.minimum(beyond, 1.5 * self.wide_mm - np.hypot(away[1], away[2])).astype(np.float32), 1.0)

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Leaves the density to other changes."""
        return hu


@dataclass(frozen=True, slots=True)
class Cloud:
    """A dense or rarefied place without a sharp border.

    Attributes:
        centre_mm: Its middle.
        radii_mm: How far it goes along x, y, z.
        gain: 1 is as dense as compact bone, negative is rarefied.
    """

    centre_mm: Vector
    radii_mm: Vector
    gain: float
    spare_mm: float = 0.0

    def reshape(self, points: Points, distance: Field) -> Field:
        """Changes nothing."""
        return distance

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Makes bone denser or less dense."""
        away = (points - column(self.centre_mm, points)) / column(self.radii_mm, points)
        here = np.exp(-np.sum(away**2, axis=0))
        if self.gain >= 0:
            return denser(hu, self.gain * here)
        return np.asarray(hu + np.clip(-self.gain * here, 0, 1) * (40 - hu), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Canal:
    """A tapering tube of vessels and fat in bone, cortex included; thin walls of compact bone.

    Attributes:
        start_mm: Where it enters.
        end_mm: Where it ends.
        radii_mm: Its radius at the start and at the end.
        hu: What is in it.
    """

    start_mm: Vector
    end_mm: Vector
    radii_mm: tuple[float, float]
    hu: float
    spare_mm: float = 0.0

    def reshape(self, points: Points, distance: Field) -> Field:
        """Leaves the surface: a voxel at a canal is still a voxel of this bone."""
        return distance

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Gives low density within, and a faint wall around."""
        axis = np.subtract(self.end_mm, self.start_mm).astype(np.float32)
        away = points - column(self.start_mm, points)
        deep = np.clip(along(axis, away) / np.dot(axis, axis), 0, 1)
        off = away - deep * axis.reshape(3, *[1] * (points.ndim - 1))
        outside = np.sqrt(np.sum(off**2, axis=0)) - (self.radii_mm[0] + deep * (self.radii_mm[1] - self.radii_mm[0]))
        share = np.clip(0.5 - outside / _SOFT_MM, 0, 1)
        wall = denser(hu, 0.25 * np.exp(-((np.maximum(outside, 0) / 0.5) ** 2)))
        return np.asarray(wall + share * (np.float32(self.hu) - wall), dtype=np.float32)


def smooth_most(one: Field, other: Field, round_mm: float) -> Field:
    """Returns the larger of two distances, with a rounded edge where they are equal (polynomial smooth maximum; Quilez 2013)."""
    near = np.maximum(np.float32(round_mm) - np.abs(one - other), 0)
    return np.asarray(np.maximum(one, other) + near * near / np.float32(4 * round_mm), dtype=np.float32)


def denser(hu: Field, share: NDArray[np.floating]) -> Field:
    """Returns HU of bone whose spaces are filled by a share with compact bone."""
    return np.asarray(hu + np.clip(_DENSEST_HU - hu, 0, None) * np.clip(share, 0, 1), dtype=np.float32)


def along(vector: Sequence[float] | NDArray[np.floating], points: Points) -> Field:
    """Returns the scalar product with ``(3, ...)`` points, to the last bit the same however many are evaluated at once."""
    x, y, z = (np.float32(n) for n in vector)
    return np.asarray(x * points[0] + y * points[1] + z * points[2], dtype=np.float32)


def column(vector: Vector, points: Points) -> NDArray[np.float32]:
    """Returns a vector that can be taken from ``(3, ...)`` points."""
    return np.asarray(vector, dtype=np.float32).reshape(3, *[1] * (points.ndim - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Several:
    """Changes that belong together, one after the other."""

    changes: tuple[BoneChange, ...]

    @property
    def spare_mm(self) -> float:
        """Returns what the one that sticks out most needs."""
        return max((change.spare_mm for change in self.changes), default=0.0)

    def reshape(self, points: Points, distance: Field) -> Field:
        """Applies all of them."""
        for change in self.changes:
            distance = change.reshape(points, distance)
        return distance

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Applies all of them."""
        for change in self.changes:
            hu = change.recolour(points, distance, hu)
        return hu
