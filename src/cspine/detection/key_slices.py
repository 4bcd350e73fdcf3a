"""Chooses the stored image of a level that is opened first: it shows the vertebra, as near as can be to the suspected fracture."""

import numpy as np

from cspine.anatomy import Level
from cspine.geometry import Vector
from cspine.results import KeySlice
from cspine.study import Study
from cspine.volume import LabelMap

_BONE_HU = 100.0
"""Neither padding, be it air or 0 HU, nor soft tissue is so dense; some of every vertebra is."""

_SHOWN_FROM = 0.1
"""An image shows a vertebra where it has at least this share of the bone that its best image has."""

_MOST_POINTS = 20_000


def key_slice(study: Study, labels: LabelMap, level: Level, point_mm: Vector) -> KeySlice:
    """Returns the stored image nearest to a point among those that show bone of a vertebra.

    The point may lie beyond the scan, or on images without content at its ends.

    Args:
        study: The scan.
        labels: Its vertebrae.
        level: Which one.
        point_mm: Where a fracture is suspected, LPS ``(x, y, z)``.
    """
    index = study.nearest_slice(point_mm)
    counts = _bone_by_slice(study, labels, level)
    if counts.any():
        shown = np.flatnonzero(counts >= _SHOWN_FROM * counts.max())
        index = int(shown[np.argmin(np.abs(shown - index))])
    return KeySlice(index, study.sources[index].sop_instance_uid if study.sources and study.is_citable else None)


def _bone_by_slice(study: Study, labels: LabelMap, level: Level) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Returns how many points of a vertebra are bone on each stored image."""
    volume = study.volume
    voxels = np.flatnonzero(labels.labels == level)
    some = np.unravel_index(voxels[:: 1 + len(voxels) // _MOST_POINTS], labels.labels.shape)
    points = labels.grid.world(np.stack(some, axis=1))
    points = points[volume.grid.contains(points)]
    z, y, x = np.clip(np.rint(volume.grid.index(points)).astype(int), 0, np.array(volume.grid.shape) - 1).T
    bone = points[volume.hu[z, y, x] > _BONE_HU]
    return np.bincount(study.nearest_slices(bone), minlength=len(study.sources) or volume.grid.shape[0])
