"""Labels on the images of a scan as they are stored, each where it truly lies."""

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.imaging.sampling import sample
from cspine.study import Study
from cspine.volume import LabelMap

_TOUCHING = 1e-3
"""A box nearer than this to a plane, in slices, meets it."""


def labels_on_images(labels: LabelMap, study: Study) -> NDArray[np.uint8]:
    """Returns the nearest label of every stored pixel, whatever was resampled when the scan was read.

    Only what can be labelled is sampled, so that the time goes with the labelled part of the scan.

    Args:
        labels: On any grid.
        study: The scan.

    Returns:
        ``(images, rows, columns)``, in the order of the study's sources; a NIfTI file has its slices for images.
    """
    count = len(study.sources) or study.volume.grid.shape[0]
    out = np.zeros((count, *study.volume.grid.shape[1:]), dtype=np.uint8)
    corners = _corners_mm(labels)
    if corners is None:
        return out
    for index in range(count):
        plane = study.plane(index)
        where = plane.index(corners)
        low = np.clip(np.floor(where.min(axis=0)[1:]).astype(int), 0, plane.shape[1:])
        high = np.clip(np.ceil(where.max(axis=0)[1:]).astype(int) + 1, low, plane.shape[1:])
        if where[:, 0].min() > _TOUCHING or where[:, 0].max() < -_TOUCHING or np.any(high == low):
            continue
        part = _part(plane, low, high)
        out[index, low[0] : high[0], low[1] : high[1]] = sample(labels, part).labels[0]
    return out


def _corners_mm(labels: LabelMap) -> NDArray[np.float64] | None:
    """Returns the corners of the box that holds all labels, ``(8, 3)``; ``None`` where there are none."""
    spans = []
    for axis in range(3):
        (found,) = np.nonzero(labels.labels.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(found):
            return None
        spans.append((int(found[0]), int(found[-1]) - int(found[0]) + 1))
    (z, depth), (y, height), (x, width) = spans
    return labels.grid.part((z, y, x), (depth, height, width)).corners_mm()


def _part(plane: Grid, low: NDArray[np.intp], high: NDArray[np.intp]) -> Grid:
    rows, columns = (int(n) for n in high - low)
    return plane.part((0, *low), (1, rows, columns))
