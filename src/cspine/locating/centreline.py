"""The line along which the vertebrae are threaded, and how far along it every voxel lies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REACH_MM = 22.0
"""Bodies, canal and facets lie within this distance of the line; spinous processes of other heights mostly do not."""

_LINK_MM = 18.0
"""From one height to the next the spine moves less than this aside."""

_SMOOTH_MM = 8.0
_LEAST_ML = 0.04
"""Vertebra at one height: less than this is none."""

_SMALL_COMPONENT_ML = 2.0
"""A body that hangs together and is smaller says nothing about where the spine is."""

_NECK_MM = 100.0
"""C1 to C7 lie within a height of about this."""

_ENOUGH_ML = 3.0
"""Of one level: more of it, as where a pelvis is called C1, is no better."""

_LIKELY = 0.3
"""Of one level, to say anything about where the neck is: a heavy bone elsewhere is a little of each."""

_MOST_LINES = 3

_STEPS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Centreline:
    """A line from the lowest to the highest height at which there is a vertebra.

    Attributes:
        points_mm: On it, evenly along it, from the feet, ``(k, 3)`` in the order of the array's axes ``(z, y, x)``.
        step_mm: Their distance.
    """

    points_mm: NDArray[np.float64]
    step_mm: float

    @property
    def tangents(self) -> NDArray[np.float64]:
        """Returns unit vectors towards the head, ``(k, 3)``."""
        along = np.gradient(self.points_mm, axis=0) if len(self.points_mm) > 1 else np.array([[1.0, 0.0, 0.0]])
        found: NDArray[np.float64] = along / np.linalg.norm(along, axis=1, keepdims=True)
        return found

    def along_mm(self, places_mm: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns how far along the line places ``(n, 3)`` lie, from its foot, and how far beside it, ``(n,)`` each."""
        places = np.asarray(places_mm, dtype=np.float64)
        tangents, last = self.tangents, len(self.points_mm) - 1
        heights = self.points_mm[:, 0]
        at = np.interp(places[:, 0], heights, np.arange(last + 1.0))
        for _ in range(_STEPS):
            nearest = np.clip(np.rint(at), 0, last).astype(np.intp)
            ahead = np.einsum("ij,ij->i", places - self.points_mm[nearest], tangents[nearest]) / self.step_mm
            at = nearest + np.clip(ahead, -3, 3)
        nearest = np.clip(np.rint(at), 0, last).astype(np.intp)
        apart = places - self.points_mm[nearest]
        ahead = np.einsum("ij,ij->i", apart, tangents[nearest])
        beside = np.linalg.norm(apart - ahead[:, None] * tangents[nearest], axis=1)
        return (nearest * self.step_mm) + ahead, beside


def find_centrelines(
    vertebra: NDArray[np.float32],
    levels: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    step_mm: float = 2.5,
) -> list[Centreline]:
    """Returns lines through bodies and canals, each of which may be the neck's; none where there is no spine.

    At every height the middle of the vertebra's mass is followed to the head and to the feet, so that a blob elsewhere does not
    draw it away. A line begins where there are most levels of the neck; further ones begin far from it where there are some too, if
    no line leads there: a network may take a pelvis for a neck.

    Args:
        vertebra: How likely each voxel is part of any vertebra, ``(z, y, x)``, from feet to head.
        levels: The same of each of C1..C7, ``(z, y, x, 7)``.
        spacing_mm: Of the voxels, ``(z, y, x)``.
        step_mm: Distance of points on the line.
    """
    dz, dy, dx = spacing_mm
    vertebra = _without_small_components(vertebra, dz * dy * dx / 1000)
    levels = np.where((vertebra[..., None] > 0) & (levels > _LIKELY), levels, np.float32(0))
    mass_ml, levels_ml = (part.sum(axis=(1, 2)) * (dz * dy * dx) / 1000 for part in (vertebra, levels))
    if mass_ml.max(initial=0.0) < _LEAST_ML:
        return []
    lines: list[dict[int, NDArray[np.float64]]] = []
    for start in _starts(mass_ml, levels_ml, dz):
        first = _first(vertebra, levels, start, spacing_mm)
        if not any(start in line and np.linalg.norm(line[start] - first) < REACH_MM for line in lines):
            lines.append(_followed(vertebra, start, first, spacing_mm))
    return [_threaded(centres, dz, step_mm) for centres in lines if centres]


def _first(
    vertebra: NDArray[np.float32], levels: NDArray[np.float32], start: int, spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Returns where a line that begins at some height does: at most of the neck's levels there, or of any vertebra."""
    slab = slice(max(start - 1, 0), start + 2)
    return _peak((levels[slab].sum(axis=-1) if levels[slab].any() else vertebra[slab]).sum(axis=0), spacing_mm)


def _followed(
    vertebra: NDArray[np.float32], start: int, first: NDArray[np.float64], spacing_mm: tuple[float, float, float]
) -> dict[int, NDArray[np.float64]]:
    """Returns the middle of the vertebra's mass by height, from one height on in both directions."""
    centres: dict[int, NDArray[np.float64]] = {}
    for heights in (range(start, len(vertebra)), range(start - 1, -1, -1)):
        place, missed = centres[min(centres)] if centres else first, 0.0
        for height in heights:
            found = _centre(vertebra[height], place, spacing_mm)
            if found is None:
                missed += spacing_mm[0]
                if missed > 2 * _LINK_MM:
                    break
                continue
            place, missed = found, 0.0
            centres[height] = found
    return centres


def _starts(mass_ml: NDArray[np.floating], levels_ml: NDArray[np.floating], dz: float) -> list[int]:
    """Returns heights with most of C1..C7, each in a stretch as high as a neck that holds most of them.

    Each level counts up to what is enough. Where there is no such stretch, the height with most vertebra.
    """
    reach, smooth = max(round(_NECK_MM / 2 / dz), 1), max(_SMOOTH_MM / dz / 2, 0.5)
    around = ndimage.uniform_filter1d(levels_ml, 2 * reach + 1, axis=0, mode="constant") * (2 * reach + 1)
    enough = np.minimum(around, _ENOUGH_ML).sum(axis=1)
    weight = ndimage.gaussian_filter1d(levels_ml.sum(axis=1), smooth)
    heights, starts = np.arange(len(mass_ml)), list[int]()
    free = mass_ml >= _LEAST_ML
    while len(starts) < _MOST_LINES and (free & (enough >= _ENOUGH_ML)).any():
        near = free & (np.abs(heights - int(np.argmax(np.where(free, enough, -1.0)))) <= reach)
        starts.append(int(np.argmax(np.where(near, weight, -1.0))))
        free &= np.abs(heights - starts[-1]) > 2 * reach
    return starts or [int(np.argmax(ndimage.gaussian_filter1d(mass_ml, smooth)))]


def _without_small_components(vertebra: NDArray[np.float32], voxel_ml: float) -> NDArray[np.float32]:
    """Returns what is more likely vertebra than not, without small components."""
    parts, count = ndimage.label(vertebra > 0.5, structure=np.ones((3, 3, 3)))
    if not count:
        return np.zeros_like(vertebra)
    sizes = np.bincount(parts.ravel()) * voxel_ml
    sizes[0] = 0
    return np.where(sizes[parts] >= _SMALL_COMPONENT_ML, vertebra, np.float32(0))


def _peak(slab: NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Returns where most of the mass of a height lies, mm ``(y, x)``."""
    _, dy, dx = spacing_mm
    blurred = ndimage.gaussian_filter(slab, (_LINK_MM / 2 / dy, _LINK_MM / 2 / dx))
    y, x = np.unravel_index(int(np.argmax(blurred)), slab.shape)
    return np.array([y * dy, x * dx])


def _centre(
    slab: NDArray[np.float32], place: NDArray[np.float64], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64] | None:
    """Returns the middle of the mass within reach of a place; ``None`` where there is too little."""
    dz, dy, dx = spacing_mm
    y, x = np.arange(slab.shape[0]) * dy, np.arange(slab.shape[1]) * dx
    for _ in range(3):
        near = np.hypot(y[:, None] - place[0], x[None, :] - place[1]) <= REACH_MM + _LINK_MM / 2
        weight = np.where(near, slab, 0)
        total = float(weight.sum())
        if total * dz * dy * dx / 1000 < _LEAST_ML:
            return None
        place = np.array([(weight.sum(axis=1) * y).sum() / total, (weight.sum(axis=0) * x).sum() / total])
    return place


def _threaded(centres: dict[int, NDArray[np.float64]], dz: float, step_mm: float) -> Centreline:
    """Returns a smooth line through the middles, with points evenly along it."""
    heights = np.arange(min(centres), max(centres) + 1)
    known = np.array(sorted(centres))
    beside = np.stack([np.interp(heights, known, [centres[int(h)][axis] for h in known]) for axis in range(2)], axis=1)
    beside = ndimage.gaussian_filter1d(beside, _SMOOTH_MM / dz, axis=0, mode="nearest")
    line = np.column_stack([heights * dz, beside])
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    places = np.arange(0, lengths[-1] + step_mm / 2, step_mm)
    return Centreline(np.column_stack([np.interp(places, lengths, line[:, axis]) for axis in range(3)]), step_mm)
