"""Labels on the images of a scan as they are stored, each where it truly lies."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.imaging.sampling import nearest
from cspine.study import Study
from cspine.volume import LabelMap

_TOUCHING = 1e-3
"""A box nearer than this to a plane, in slices, meets it."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Holds the stored images that labels lie on; all others show background only.

    Attributes:
        places: Their places among the images of the study, ascending, ``(n,)``.
        labels: Labels of their pixels, ``(n, rows, columns)``.
    """

    places: NDArray[np.intp]
    labels: NDArray[np.uint8] = field(repr=False)


def labels_on_images(labels: LabelMap, study: Study) -> LabelledImages:
    """Returns the nearest label of every stored pixel, whatever was resampled when the scan was read.

    Only what can be labelled is sampled and held, so that time and memory go with the labelled part of the scan.

    Args:
        labels: On any grid.
        study: The scan; a NIfTI file has its slices for images.
    """
    plane, corners = study.plane(0), _corners_mm(labels)
    size = np.asarray(plane.shape[1:])
    if corners is None:
        return LabelledImages(np.zeros(0, np.intp), np.zeros((0, *plane.shape[1:]), np.uint8))
    firsts = study.first_pixels_mm()
    where = plane.index(corners)[None] - plane.index(firsts)[:, None]  # from the first pixel of each image, as all lie alike
    low = np.clip(np.floor(where[..., 1:].min(axis=1)).astype(int), 0, size)
    high = np.clip(np.ceil(where[..., 1:].max(axis=1)).astype(int) + 1, low, size)
    touched = (where[..., 0].min(axis=1) <= _TOUCHING) & (where[..., 0].max(axis=1) >= -_TOUCHING) & np.all(high > low, axis=1)
    (places,) = np.nonzero(touched)
    matrix = np.linalg.inv(labels.grid.affine[:3, :3]) @ plane.affine[:3, :3]
    offsets = labels.grid.index(firsts + low @ plane.affine[:3, 1:3].T)
    out = np.zeros((len(places), *plane.shape[1:]), np.uint8)
    for image, place in zip(out, places, strict=True):
        (top, left), (bottom, right) = low[place], high[place]
        shape = (1, int(bottom - top), int(right - left))
        image[top:bottom, left:right] = nearest(labels.labels, matrix, offsets[place], shape, 0)[0]
    return LabelledImages(places, out)


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
