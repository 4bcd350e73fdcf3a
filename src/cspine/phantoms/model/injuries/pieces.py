"""Bones in pieces: rough fracture lines, fragments that moved, crushed spongy bone.

A fracture is a few cuts. Each cut has a seed on either side, each seed belongs to a fragment, and every point of the bone to the
fragment of the nearest seed. So two cuts through a ring free the arch between them, and cuts in all directions shatter a body.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.special import ndtr

from cspine.geometry import Vector
from cspine.phantoms.model.injuries.crush import Crush
from cspine.phantoms.model.injuries.facts import FractureLine, InjuryFacts
from cspine.phantoms.model.shapes import Field, Points
from cspine.phantoms.model.texture import value_noise

_RIM_MM = 4.0
"""Over this length a fracture line that ends within the bone closes."""

_MOST_ROUGH = 3.5
"""Roughness hardly exceeds so many standard deviations."""

_SEEN_MM = 1.5
"""Distances to walls are right as far as this, at least."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One rough plane through a part of a bone.

    Attributes:
        site_mm: Its middle.
        normal: Unit vector across it.
        behind: The fragment that the normal comes from; 0 is the rest of the bone.
        ahead: The fragment that it points into.
        half_mm: Distance of the seeds; a smaller one lets other cuts come nearer.
    """

    site_mm: Vector
    normal: Vector
    behind: int = 0
    ahead: int = 1
    half_mm: float = 5.0


@dataclass(frozen=True, slots=True)
class Fence:
    """A place that surely belongs to a fragment.

    Attributes:
        site_mm: The place.
        fragment: Whose it is; 0 is the rest of the bone.
    """

    site_mm: Vector
    fragment: int = 0


@dataclass(frozen=True, slots=True)
class Motion:
    """Says where a fragment went.

    Attributes:
        pivot_mm: What it turned about.
        turn_deg: Rotation vector.
        shift_mm: How its pivot moved.
    """

    pivot_mm: Vector = (0.0, 0.0, 0.0)
    turn_deg: Vector = (0.0, 0.0, 0.0)
    shift_mm: Vector = (0.0, 0.0, 0.0)

    @property
    def at_rest(self) -> bool:
        """Says whether nothing moved."""
        return not any(self.turn_deg) and not any(self.shift_mm)

    def undo(self, points: Points) -> Points:
        """Returns where ``(3, n)`` points of the fragment were."""
        turn = Rotation.from_rotvec(self.turn_deg, degrees=True).as_matrix().astype(np.float32)
        pivot = np.asarray(self.pivot_mm, dtype=np.float32)[:, None]
        shift = np.asarray(self.shift_mm, dtype=np.float32)[:, None]
        x, y, z = points - pivot - shift
        # no matrix product: its last bits may depend on how many points are evaluated at once
        return np.stack([row[0] * x + row[1] * y + row[2] * z for row in turn.T]) + pivot


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Describes a fragment as seen through the point spread of a scanner.

    Attributes:
        share: How much of what a voxel shows lies in the fragment's cell, 0..1, ``(n,)``.
        back: Where what is there now was before, ``(3, n)``.
        moved: Whether anything of it moved.
    """

    share: Field
    back: Points
    moved: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fracture:
    """Some cuts at once, and the fragments between them.

    Attributes:
        facts: What it is.
        cuts: Where the bone parted.
        motions: Where fragments 1, 2, ... went.
        fences: Places whose fragment is known, so that no cut goes on where its part has ended.
        reach_mm: How far from the site the fracture lines go and the bone bends; farther away all is as it was.
        roughness_mm: Standard deviation of the fracture lines' surfaces.
        seed: Which roughness.
        crush: How the body was crushed besides, if it was.
    """

    facts: InjuryFacts
    cuts: tuple[Cut, ...] = field(repr=False)
    motions: tuple[Motion, ...] = field(repr=False)
    fences: tuple[Fence, ...] = field(default=(), repr=False)
    reach_mm: float = 60.0
    roughness_mm: float = 0.4
    seed: int = 0
    crush: Crush | None = None

    @property
    def spread_mm(self) -> float:
        """Returns the farthest that any bone moved."""
        away = [np.linalg.norm(m.shift_mm) + np.deg2rad(np.linalg.norm(m.turn_deg)) * min(self.reach_mm, 30) for m in self.motions]
        return float(max(away, default=0.0)) + (self.crush.most_mm if self.crush else 0.0)

    def undo(self, points: Points) -> Points:
        """Moves every fragment back to where it came from."""
        flat = points.reshape(3, -1)
        out = flat if self.crush is None else self.crush.undo(flat)
        if not all(motion.at_rest for motion in self.motions):
            near = np.flatnonzero(self._closeness(out) > 0)
            near = near[self._outside(0, out[:, near]).away > -self._most_mm] if 0 in self._fragments() else near
            if len(near):
                out = out.copy()
                out[:, near] = self._sorted_out(out[:, near])
        return out.reshape(points.shape)

    def fracture_line(self, points: Points, edges: NDArray[np.float32]) -> FractureLine:
        """Returns the space between the fragments."""
        share = np.zeros(points.shape[1:], np.float32)
        away = np.full(points.shape[1:], 99, np.float32)
        flat = points if self.crush is None else self.crush.undo(points)
        closeness = self._closeness(flat)
        near = np.flatnonzero(closeness > 0)
        voxel = float(np.abs(edges).sum(axis=1).max())
        near = near[self._border_mm(flat[:, near]) < self._most_mm + self.facts.gap_mm / 2 + voxel + _SEEN_MM]
        if not len(near):
            return FractureLine(share, away)
        half = np.float32(self.facts.gap_mm / 2) * np.minimum(closeness[near], 1)
        solid = np.zeros(len(near), np.float32)
        wall = away[near]
        for fragment in self._fragments():
            back = self._back(fragment, flat[:, near])
            outside = self._outside(fragment, back)
            wide = outside.width(edges)
            inwards = self._roughened(outside, back) + half
            solid += np.clip(0.5 - inwards / wide, 0, 1)
            wall = np.minimum(wall, np.abs(inwards))
        share[near] = np.clip(1 - solid, 0, 1)
        away[near] = np.where(share[near] > 0.999, 0, wall)
        return FractureLine(share, away)

    def pieces(self, points: Points, blur: NDArray[np.float32]) -> list[Piece]:
        """Returns every fragment as a scanner shows it, for bone that is an image already: what is left is the fracture line.

        Args:
            points: Middles of voxels, ``(3, n)``.
            blur: The point spread: columns are standard deviations along three directions at right angles, mm, ``(3, 3)``.
        """
        flat = points if self.crush is None else self.crush.undo(points)
        half = np.float32(self.facts.gap_mm / 2) * np.clip(self._closeness(flat), 0, 1)
        found = []
        for fragment in self._fragments():
            back = self._back(fragment, flat)
            outside = self._outside(fragment, back)
            wide = outside.deviation(blur)
            solid = np.asarray(ndtr(-(self._roughened(outside, back) + half) / wide), dtype=np.float32)
            moved = self.crush is not None or (fragment > 0 and not self.motions[fragment - 1].at_rest)
            found.append(Piece(solid, back, moved))
        # fragments that were driven into each other share their place
        total = np.maximum(np.sum([piece.share for piece in found], axis=0), np.float32(1))
        return [replace(piece, share=np.asarray(piece.share / total, dtype=np.float32)) for piece in found]

    def parts(self, points: Points, margin_mm: float) -> dict[int, NDArray[np.bool_]]:
        """Returns by fragment which of ``(3, n)`` points belonged to it before anything moved, or lay nearer than a margin."""
        within = self._closeness(points) > 0
        out = {}
        for fragment in self._fragments():
            near = self._outside(fragment, points).away < margin_mm
            out[fragment] = near & within if fragment else near | ~within
        return out

    def density(self, points: Points, hu: Field) -> Field:
        """Makes crushed spongy bone denser."""
        return hu if self.crush is None else self.crush.density(points, hu)

    def _closeness(self, points: Points) -> Field:
        """Returns how far within reach points lie, in rims: from 1 on the fracture line is fully open, up to 0 there is none."""
        site = np.asarray(self.facts.site_mm, dtype=np.float32)[:, None]
        return np.asarray((self.reach_mm - np.sqrt(np.sum((points - site) ** 2, axis=0))) / _RIM_MM, dtype=np.float32)

    def _back(self, fragment: int, points: Points) -> Points:
        """Returns where ``(3, n)`` points were, if they belong to a fragment. Bone that is not cut through all around bends."""
        if fragment == 0 or self.motions[fragment - 1].at_rest:
            return points
        back = self.motions[fragment - 1].undo(points)
        bent = np.clip(self._closeness(back) * _RIM_MM / max(0.6 * self.reach_mm, _RIM_MM), 0, 1)
        return np.asarray(points + bent * (back - points), dtype=np.float32)

    @property
    def _most_mm(self) -> float:
        """Returns how far from its border a fragment is sure to be whole."""
        return self.spread_mm + _MOST_ROUGH * self.roughness_mm

    def _sorted_out(self, points: Points) -> Points:
        out, least = points, np.full(points.shape[1:], np.inf, np.float32)
        for fragment in self._fragments():
            back = self._back(fragment, points)
            outside = self._roughened(self._outside(fragment, back), back)
            out = np.where(outside < least, back, out)
            least = np.minimum(least, outside)
        return out

    def _outside(self, fragment: int, points: Points) -> "_Outside":
        """Returns how far ``(3, n)`` points are from a fragment's cell."""
        seeds, owner = self._seeds()
        scores = _scores(seeds, points)
        own, own_seed = _least(scores, np.flatnonzero(owner == fragment))
        other, other_seed = _least(scores, np.flatnonzero(owner != fragment))
        steps = seeds[None] - seeds[:, None]
        pair = own_seed * len(seeds) + other_seed
        length = np.maximum(np.linalg.norm(steps, axis=2), np.float32(1e-3)).ravel()
        return _Outside((own - other) / (2 * length[pair]), steps.reshape(-1, 3) / length[:, None], pair, own_seed < other_seed)

    def _roughened(self, outside: "_Outside", points: Points) -> Field:
        """Returns the distance to a rough border; far from it roughness does not matter."""
        out = outside.away
        near = np.flatnonzero(np.abs(out) < _MOST_ROUGH * self.roughness_mm + _SEEN_MM)
        out[near] += self._roughness(points[:, near]) * np.where(outside.first[near], 1, -1)
        return out

    def _border_mm(self, points: Points) -> Field:
        """Returns the distance to the nearest smooth border between any two fragments."""
        seeds, owner = self._seeds()
        scores = _scores(seeds, points)
        least, nearest = _least(scores, np.arange(len(seeds)))
        # how much longer a way to a seed is for each millimetre from the border; endless between seeds of one fragment
        apart = 2 * np.maximum(np.linalg.norm(seeds[None] - seeds[:, None], axis=2), np.float32(1e-3))
        inverse = np.where(owner[None] == owner[:, None], np.float32(np.inf), 1 / apart).astype(np.float32)
        out = np.full(points.shape[1:], np.inf, np.float32)
        for k in range(len(seeds)):
            with np.errstate(invalid="ignore"):  # nothing times endless, at the seed's own place
                np.fmin(out, (scores[k] - least) * inverse[k][nearest], out=out)
        return out

    def _fragments(self) -> list[int]:
        return sorted({whose for cut in self.cuts for whose in (cut.behind, cut.ahead)})

    def _seeds(self) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Returns places ``(k, 3)`` and the fragment that each belongs to."""
        places, owner = [], []
        for cut in self.cuts:
            for side, whose in ((-1, cut.behind), (1, cut.ahead)):
                places.append(np.asarray(cut.site_mm) + side * cut.half_mm * np.asarray(cut.normal))
                owner.append(whose)
        places.extend(np.asarray(fence.site_mm) for fence in self.fences)
        owner.extend(fence.fragment for fence in self.fences)
        return np.asarray(places, dtype=np.float32), np.asarray(owner, dtype=np.intp)

    def _roughness(self, points: Points) -> Field:
        fine, coarse = value_noise(points, 1.6, self.seed), value_noise(points, 6.0, self.seed + 1)
        return np.asarray(self.roughness_mm * (0.4 * fine + 0.9 * coarse), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Outside:
    """Says how far some points are from a cell, and across which border.

    Attributes:
        away: Signed distance to the smooth border, negative within, ``(n,)``.
        normals: Unit vectors across the border of every pair of seeds.
        pair: Which of them, ``(n,)``.
        first: Whether the own seed comes before the other one: roughness has one sign on either side of a border.
    """

    away: Field
    normals: NDArray[np.float32]
    pair: NDArray[np.intp]
    first: NDArray[np.bool_]

    def width(self, edges: NDArray[np.float32]) -> Field:
        """Returns a voxel's width across the border, ``(n,)``."""
        widths = np.abs(self.normals @ edges).sum(axis=1)
        return np.asarray(np.maximum(widths, np.float32(0.05))[self.pair], dtype=np.float32)

    def deviation(self, blur: NDArray[np.float32]) -> Field:
        """Returns the standard deviation of a point spread across the border, mm, ``(n,)``."""
        widths = np.linalg.norm(self.normals @ blur, axis=1)
        return np.asarray(np.maximum(widths, np.float32(0.05))[self.pair], dtype=np.float32)


def _scores(seeds: NDArray[np.float32], points: Points) -> Field:
    """Returns squared distances of ``(3, n)`` points to every seed, less what is common to all, ``(k, n)``."""
    x, y, z = points
    out = np.empty((len(seeds), points.shape[1]), np.float32)
    for row, seed in zip(out, seeds, strict=True):
        row[:] = np.sum(seed**2) - (2 * seed[0] * x + 2 * seed[1] * y + 2 * seed[2] * z)
    return out


def _least(scores: Field, among: NDArray[np.intp]) -> tuple[Field, NDArray[np.intp]]:
    """Returns the least of some rows, and which it is."""
    least, which = scores[among[0]], np.full(scores.shape[1], among[0])
    for k in among[1:]:
        less = scores[k] < least
        least = np.where(less, scores[k], least)
        which = np.where(less, k, which)
    return least, which
