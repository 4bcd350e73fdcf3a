"""Places crops around the vertebrae of a label map, whoever made it: a localiser, or a person."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import BACKGROUND, CERVICAL, Level
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.imaging.vertebrae import Pose, frame
from cspine.locating.located import Located, Vertebra
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap

_STEP_MM = 2.0
"""Vertebrae are measured in voxels of this size."""

_MASK_STEP_MM = 1.0
"""A mask that is trusted is laid on upright voxels of this size."""

_TAILS = (1.0, 99.0)
"""Percentiles between which a vertebra lies: a few stray voxels do not move it."""

_FEWEST_VOXELS = 40
"""A vertebra of which less is seen has no place."""

_STEEPEST = np.cos(np.radians(45))
"""A line that leans more is not believed."""

_LEAST_IN_VIEW = 0.3
"""Share of a usual vertebra; a vertebra of less is not trained on."""

_SIZES = {Level.C1: 0.85, Level.C2: 1.25, Level.C3: 0.8, Level.C4: 0.85, Level.C5: 0.9, Level.C6: 1.0, Level.C7: 1.2}
"""Volume of a vertebra against that of the mean cervical one; rough, as it decides only what is far too little."""


def find_poses(labels: LabelMap) -> dict[Level, Pose]:
    """Returns the place of each of C1..C7 that a label map shows.

    Args:
        labels: C1..C7 and T1 by their values; on any grid.
    """
    coarse = _coarse(labels)
    found = {level: np.argwhere(coarse.labels == level) for level in Level}
    places = {level: coarse.grid.world(index) for level, index in found.items() if len(index) >= _FEWEST_VOXELS}
    centres = {level: place.mean(axis=0) for level, place in places.items()}
    return {level: _pose(places[level], _axis(level, centres)) for level in CERVICAL if level in places}


def well_in_view(labels: LabelMap) -> dict[Level, bool]:
    """Returns whether three tenths of each of C1..C7 are in a label map, enough to learn its label."""
    counts = np.bincount(labels.labels[labels.labels > BACKGROUND], minlength=Level.T1 + 1)
    usual = np.median([counts[level] / share for level, share in _SIZES.items() if counts[level]] or [1.0])
    return {level: bool(counts[level] >= max(_LEAST_IN_VIEW * share * usual, 1)) for level, share in _SIZES.items()}


def jittered(poses: Mapping[Level, Pose], rng: np.random.Generator, tilt_deg: float) -> dict[Level, Pose]:
    """Returns the same crops, each tilted at random, as the line through vertebrae may be off.

    Args:
        poses: Of each level.
        rng: Draws.
        tilt_deg: Standard deviation.
    """
    found = {}
    for level, pose in poses.items():
        off = np.asarray(pose.axis) + np.tan(np.radians(tilt_deg)) * rng.normal(size=3)
        x, y, z = (float(part) for part in off / np.linalg.norm(off))
        found[level] = replace(pose, axis=(x, y, z))
    return found


def located_by(labels: LabelMap) -> Located:
    """Returns the vertebrae of a mask that is trusted, as a localiser would return them.

    Args:
        labels: C1..C7 by their values; on any grid.
    """
    upright, found = _coarse(labels, _MASK_STEP_MM), []
    for level, pose in find_poses(labels).items():
        index = np.argwhere(upright.labels == level)
        low, high = upright.grid.world(index.min(axis=0) - 0.5), upright.grid.world(index.max(axis=0) + 0.5)
        box = Box(_vector(np.minimum(low, high)), _vector(np.maximum(low, high)))
        centre = _vector(upright.grid.world(index.mean(axis=0)))
        found.append(Vertebra(level, LevelStatus.ASSESSED, 1.0, centre, box, pose.axis))
    return Located(tuple(found), upright, np.empty((0, 3)))


def _coarse(labels: LabelMap, step_mm: float = _STEP_MM) -> LabelMap:
    """Returns the box of its vertebrae on upright voxels."""
    index = np.argwhere((labels.labels > BACKGROUND) & (labels.labels <= Level.T1))
    if not len(index):
        return LabelMap(np.zeros((1, 1, 1), np.uint8), Grid.upright((0, 0, 0), (1, 1, 1), (step_mm,) * 3))
    low, high = index.min(axis=0) - 1, index.max(axis=0) + 1
    corners = labels.grid.world(np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(8, 3))
    first, last = corners.min(axis=0), corners.max(axis=0)
    x, y, z = (int(np.ceil(side / step_mm)) + 1 for side in last - first)
    return sample(labels, Grid.upright((first + last) / 2, (z, y, x), (step_mm,) * 3))


def _axis(level: Level, centres: Mapping[Level, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Returns the direction from the vertebra below to the one above, or between the nearest there are; upright by default."""
    above = centres.get(Level(level - 1)) if level > Level.C1 else None
    below = centres.get(Level(level + 1))
    if level is Level.C1 or above is None:  # a ring is as deep as it is wide: two vertebrae below say more of it than one
        above, below = centres.get(level), centres.get(Level(min(level + 2, Level.T1)), below)
    if below is None:
        below = centres.get(level)
    up = np.zeros(3) if above is None or below is None else above - below
    length = float(np.linalg.norm(up))
    if length == 0 or up[2] < _STEEPEST * length:
        return np.array([0.0, 0.0, 1.0])
    return np.asarray(up / length, dtype=np.float64)


def _pose(places_mm: NDArray[np.float64], axis: NDArray[np.float64]) -> Pose:
    """Returns the middle of what holds a vertebra, along and across its axis."""
    up = (float(axis[0]), float(axis[1]), float(axis[2]))
    axes = frame(up)
    low, high = np.percentile(places_mm @ axes, _TAILS, axis=0)
    return Pose(_vector(axes @ ((low + high) / 2)), up, float(high[0] - low[0]))


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
