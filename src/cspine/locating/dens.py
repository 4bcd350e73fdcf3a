"""The dens of C2, where it was taken for a part of C1.

In scans of large voxels the dens touches the anterior arch of C1, and a network may call both C1. But C1 is a ring: on the axis of
C2, which leads through its body and its dens, there is nothing of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.volume import LabelMap

_BESIDE_MM = 5.0
"""Farther to the side of the middle of C2 nothing says where its axis is: there are its masses and laminae."""

_BODY_MM = 17.0
"""A body is no deeper, from its front; behind it lie the canal and the arch, which large voxels join to it."""

_THIN = 0.4
"""Of the usual size of a slice through body and dens: a smaller one says nothing either."""

_LEAST_MM = 8.0
"""An axis that is known over less has no direction."""

_CORE_MM, _FILLED_MM = 2.5, 5.0
"""If C1 fills a column of this radius around the axis over more than this length, it holds the dens."""

_RADIUS_MM = 5.5
"""Of a dens; the arch lies before it."""

_DENS_MM = (-8.0, 16.0)
"""What is called C1 is the dens from so far below the end of what is called C2 to so far above it."""

_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """The line through the body of C2 and what is known of its dens.

    Attributes:
        top_mm: Its upper end, in the order of the array's axes ``(z, y, x)``, from the first voxel.
        up: Unit vector along it, the same.
    """

    top_mm: NDArray[np.float64]
    up: NDArray[np.float64]


def give_dens_back(labels: LabelMap) -> int:
    """Calls C2 what is called C1 and lies where the dens is, if C1 fills its place. In place.

    Args:
        labels: On an upright grid, slices from feet to head.

    Returns:
        How many voxels were renamed.
    """
    labels = _both(labels)
    axis = _axis(labels)
    if axis is None:
        return 0
    atlas = np.argwhere(labels.labels == Level.C1)
    apart = atlas * labels.grid.spacing_mm - axis.top_mm
    along = apart @ axis.up
    beside = np.linalg.norm(apart - along[:, None] * axis.up, axis=1)
    here = (along > _DENS_MM[0]) & (along < _DENS_MM[1])
    core_mm3 = np.count_nonzero(here & (beside < _CORE_MM)) * np.prod(labels.grid.spacing_mm)
    if core_mm3 <= _FILLED_MM * np.pi * _CORE_MM**2:
        return 0
    dens = atlas[here & (beside < _RADIUS_MM)]
    labels.labels[tuple(dens.T)] = Level.C2
    return len(dens)


def _both(labels: LabelMap) -> LabelMap:
    """Returns the box that holds C1 and C2."""
    boxes = [box for box in ndimage.find_objects(labels.labels, Level.C2) if box is not None]
    if not boxes:
        return labels
    ends = np.array([[(side.start, side.stop) for side in box] for box in boxes])
    low, high = ends[..., 0].min(axis=0), ends[..., 1].max(axis=0)
    part = labels.labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return LabelMap(part, labels.grid.part(low, part.shape))


def _axis(labels: LabelMap) -> _Axis | None:
    """Returns the line along which the slices through the front of C2 are stacked; ``None`` where there is too little of it."""
    spacing = np.asarray(labels.grid.spacing_mm)
    axis = labels.labels == Level.C2
    if not axis.any():
        return None
    middle = np.median(np.flatnonzero(axis.any(axis=(0, 1))))
    strip = axis & (np.abs(np.arange(axis.shape[2]) - middle) * spacing[2] <= _BESIDE_MM)
    parts, count = ndimage.label(strip, _EVERY_SIDE)
    if not count:
        return None
    largest = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    front = np.argmax(largest.any(axis=2), axis=1)
    places = np.argwhere(largest)  # body and dens
    places = places[(places[:, 1] - front[places[:, 0]]) * spacing[1] < _BODY_MM]
    slices, sizes = np.unique(places[:, 0], return_counts=True)
    slices = slices[sizes >= _THIN * np.median(sizes)]
    if (slices[-1] - slices[0]) * spacing[0] < _LEAST_MM:
        return None
    middles = np.array([places[places[:, 0] == height].mean(axis=0) for height in slices]) * spacing
    (slope_y, slope_x), (y, x) = np.polyfit(middles[:, 0] - middles[-1, 0], middles[:, 1:], 1)
    up = np.array([1.0, slope_y, slope_x])
    return _Axis(np.array([middles[-1, 0], y, x]), up / np.linalg.norm(up))
