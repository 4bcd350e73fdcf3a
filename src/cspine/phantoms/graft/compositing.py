"""Edits the bone of a scan: pieces go where an edit puts them, over the scene without the bone.

What the scan shows of a piece goes with it, its noise included; what lies between pieces is the filling. Each piece has borders as
blurred as the scan's own. Interpolation takes some noise away: as much is added as an interpolation between the scan's own voxels
takes, by how far between them a place lies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.phantoms.graft.image_quality import ImageQuality
from cspine.phantoms.graft.layers import Layers
from cspine.phantoms.graft.outlining import RealBone
from cspine.phantoms.model.injuries import Piece
from cspine.phantoms.model.shapes import Field, Points

_SEEN_MM = 1.0
"""A fracture mask reaches this far on either side of a fracture line, as in phantoms."""

_BESIDE_MM = 4.0
_TABLE = 21
_FIELDS = ("bone", "matte", "outline", "variance")
_SOME = 0.05
"""Of less bone than that, no density is known."""

_BONY = 0.2
_LEAST_HU = 0.05
"""Less is rounding."""


class Edit(Protocol):
    """Says what is done to a bone, in its own frame: a fracture, or a control that is none."""

    @property
    def spread_mm(self) -> float:
        """Returns the farthest that any bone moves."""
        ...

    def pieces(self, points: Points, blur: NDArray[np.float32]) -> list[Piece]:
        """Returns where the bone at ``(3, n)`` points comes from, piece by piece, as a point spread shows it."""
        ...

    def density(self, points: Points, hu: Field) -> Field:
        """Returns HU of the bone now at ``(3, n)`` points, which would be ``hu`` otherwise."""
        ...

    def line_mm(self, points: Points, edges: NDArray[np.float32]) -> Field:
        """Returns the distance of ``(3, n)`` points to a fracture line, large where there is none; ``edges`` are a voxel's."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """Holds an edited part of a scan.

    Attributes:
        hu: HU, ``(z, y, x)``; those of the scan wherever nothing was edited.
        edited: Where anything was.
        inside: The new outline of the bone.
        fracture: Where its fracture lines are, a millimetre to either side.
    """

    hu: Field = field(repr=False)
    edited: NDArray[np.bool_] = field(repr=False)
    inside: NDArray[np.bool_] = field(repr=False)
    fracture: NDArray[np.bool_] = field(repr=False)


def composite(layers: Layers, bone: RealBone, edits: Sequence[Edit], quality: ImageQuality, rng: np.random.Generator) -> Composite:
    """Returns the part of a scan with a bone edited, by one edit after the other.

    Args:
        layers: The scan around the bone.
        bone: The bone.
        edits: What is done to it.
        quality: How the scan shows things.
        rng: Samples the noise that interpolation takes.
    """
    bench = _Bench(layers, bone, quality)
    edges = (bone.axes.T @ layers.grid.affine[:3, :3]).astype(np.float32)
    flat = layers.points.reshape(3, -1)
    fracture = np.zeros(layers.hu.size, np.bool_)
    for edit in edits:
        near = np.flatnonzero(layers.away_mm.ravel() < edit.spread_mm + _BESIDE_MM)
        bench.apply(edit, near, flat[:, near])
        fracture[near] |= edit.line_mm(flat[:, near], edges) < _SEEN_MM
    kept = np.sqrt(np.clip(1 - bench.variance, 0, 1))
    lost = fine(quality.noise.sample(layers.hu.shape, rng)) * layers.noise.std() * kept
    hu = bench.bone + (1 - bench.matte) * layers.scene + lost * bench.matte
    gone = layers.bone + (1 - layers.matte) * layers.scene - layers.hu  # where the scene itself was moved
    changed = [np.abs(bench.bone - layers.bone), 1e3 * np.abs(bench.matte - layers.matte), np.abs(gone)]
    edited = np.max(changed, axis=0) > _LEAST_HU
    inside = bench.outline > 0.5
    fractured = fracture.reshape(hu.shape) & (inside | layers.inside | (bench.matte > _BONY))
    return Composite(np.where(edited, hu, layers.hu).astype(np.float32), edited, inside, fractured)


class _Bench:
    """Holds the bone while it is edited.

    Attributes:
        bone: HU times share, ``(z, y, x)``.
        matte: Share.
        outline: Share of the outline, 0..1.
        variance: Variance of the noise in it against the scan's.
    """

    def __init__(self, layers: Layers, bone: RealBone, quality: ImageQuality) -> None:
        self.bone, self.matte, self.outline = layers.bone.copy(), layers.matte.copy(), layers.inside.astype(np.float32)
        self.variance = np.ones(layers.hu.shape, np.float32)
        self._grid, self._frame, self._look = layers.grid, bone, quality
        self._blur = (bone.axes.T @ quality.point_spread(layers.grid)).astype(np.float32)

    def apply(self, edit: Edit, near: NDArray[np.intp], points: Points) -> None:
        """Applies one edit to some voxels, flat, whose middles in the bone's frame are ``points``."""
        pieces = edit.pieces(points, self._blur)
        before = {name: getattr(self, name).ravel()[near] for name in _FIELDS}
        after = self._gathered([piece for piece in pieces if piece.moved], len(near))
        resting = np.sum([piece.share for piece in pieces if not piece.moved] or [np.zeros(len(near), np.float32)], axis=0)
        shares = np.sum([piece.share for piece in pieces], axis=0)
        for name in ("bone", "matte", "outline"):
            after[name] += resting * before[name]
        after["variance"] += resting**2 * before["variance"] + (1 - np.clip(shares, 0, 1)) ** 2
        after["matte"] = np.clip(after["matte"], 0, 1)
        after["outline"] = np.where(shares > _SOME, after["outline"] / np.maximum(shares, _SOME), before["outline"])
        hu = np.asarray(after["bone"] / np.maximum(after["matte"], np.float32(_SOME)), dtype=np.float32)
        after["bone"] += after["matte"] * (edit.density(points, hu) - hu)
        for name, values in after.items():
            getattr(self, name).ravel()[near] = values

    def _gathered(self, pieces: Sequence[Piece], count: int) -> dict[str, Field]:
        """Returns what pieces that moved bring to some voxels, from where each was."""
        after = {name: np.zeros(count, np.float32) for name in _FIELDS}
        if not pieces:
            return after
        smooth = {name: ndimage.spline_filter(getattr(self, name), 3) for name in ("bone", "matte")}
        for piece in pieces:
            at = self._grid.index(self._frame.world(piece.back)).T
            for name, array in smooth.items():
                after[name] += piece.share * ndimage.map_coordinates(
                    array, at, np.float32, order=3, prefilter=False, mode="nearest"
                )
            after["outline"] += piece.share * ndimage.map_coordinates(self.outline, at, np.float32, order=1, mode="nearest")
            after["variance"] += piece.share**2 * variance_left(at, self._look)
        return after


def variance_left(at: NDArray[np.float64], quality: ImageQuality) -> Field:
    """Returns which share of the variance of noise cubic interpolation leaves at fractional indices ``(3, n)``."""
    left = np.ones(at.shape[1], np.float32)
    for axis, correlation in zip(at, quality.noise.correlation(), strict=True):
        left *= np.interp(axis - np.floor(axis), np.linspace(0, 1, _TABLE), _table(tuple(correlation))).astype(np.float32)
    return np.asarray(np.clip(left, 0, 1), dtype=np.float32)


@lru_cache(maxsize=64)
def _table(correlation: tuple[float, ...]) -> NDArray[np.float64]:
    """Returns what cubic interpolation leaves of the variance of noise, at fractions from 0 to 1 of a voxel.

    Args:
        correlation: Of voxels 0, 1, 2, ... apart.
    """
    taps = 15
    impulse = ndimage.spline_filter1d(np.eye(taps), 3, axis=1)
    lags = np.abs(np.subtract.outer(np.arange(taps), np.arange(taps)))
    known = np.asarray([*correlation, 0.0])
    covariance = known[np.minimum(lags, len(correlation))]
    out = []
    for fraction in np.linspace(0, 1, _TABLE):
        weights = np.array([ndimage.map_coordinates(row, [[taps // 2 + fraction]], order=3, prefilter=False)[0] for row in impulse])
        out.append(float(weights @ covariance @ weights))
    return np.asarray(out)


def fine(noise: Field) -> Field:
    """Returns the fine part of noise, with a standard deviation of 1: what interpolation takes first."""
    fine = noise - ndimage.gaussian_filter(noise, 0.7)
    return np.asarray(fine / max(float(fine.std()), 1e-6), dtype=np.float32)
