"""Vertebra masks, brought onto images by their affines."""

from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from scipy import ndimage

from cspine.datasets.case import Case
from cspine.errors import DatasetError
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.volume import LabelMap

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_LARGEST_LABEL = 255
_ISLAND_SHARE = 0.1
"""A part of a label smaller than this share of its largest part is noise."""


def load_mask(path: str | Path) -> LabelMap:
    """The mask of a NIfTI file where it lies in the world, as stored.

    Raises:
        DatasetError: It cannot be read, is not three-dimensional, or holds something else than labels 0..255.
    """
    try:
        image = nibabel.load(path)
        values = np.asanyarray(image.dataobj)
        affine = np.asarray(image.affine, dtype=np.float64)
    except (OSError, ValueError, TypeError, EOFError, ImageFileError) as error:
        raise DatasetError(
            f"{path} cannot be read as a mask ({error}). Give a NIfTI file of whole labels, or remove it."
        ) from error
    labels = _labels(values, Path(path))
    lps = _RAS_TO_LPS @ affine
    return LabelMap(labels, Grid((labels.shape[0], labels.shape[1], labels.shape[2]), lps[:, [2, 1, 0, 3]]))


def mask_on(grid: Grid, path: str | Path) -> LabelMap:
    """The mask of a file on the grid of an image: each voxel takes the nearest label, 0 outside the mask.

    Raises:
        DatasetError: As :func:`load_mask`.
    """
    return sample(load_mask(path), grid)


def read_mask(case: Case, grid: Grid) -> LabelMap:
    """The mask of a case on a grid, without islands of noise.

    Raises:
        DatasetError: The case has no mask, or as :func:`load_mask`.
    """
    if case.mask is None:
        raise DatasetError(f"Study {case.study_uid} needs a mask in segmentations/, and has none. Choose a study that has one.")
    return sample(without_islands(load_mask(case.mask)), grid)


def without_islands(mask: LabelMap) -> LabelMap:
    """The mask without parts of a label that are much smaller than its largest part."""
    labels = mask.labels.copy()
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            _clear_islands(labels[box], value)
    return LabelMap(labels, mask.grid)


def centroids_mm(mask: LabelMap) -> dict[int, NDArray[np.float64]]:
    """World coordinates of the centroid of every label."""
    found = {}
    for value, box in enumerate(ndimage.find_objects(mask.labels), start=1):
        if box is not None:
            index = np.argwhere(mask.labels[box] == value).mean(axis=0) + [axis.start for axis in box]
            found[value] = mask.grid.world(index)
    return found


def _labels(values: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    """``(x, y, z)`` of any number type as ``(z, y, x)`` labels."""
    if values.ndim != 3 or values.dtype.kind not in "uifb":
        raise DatasetError(
            f"{path} needs three axes of numbers. Received: {values.ndim} axes of {values.dtype}. Remove or repair it."
        )
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise DatasetError(f"{path} needs whole labels. Received fractions, as of a mask that was resampled linearly. Repair it.")
    if values.size and not (values.min() >= 0 and values.max() <= _LARGEST_LABEL):
        raise DatasetError(f"{path} needs labels 0..{_LARGEST_LABEL}. Received: {values.min()}..{values.max()}. Repair it.")
    return np.ascontiguousarray(values.T.astype(np.uint8))


def _clear_islands(labels: NDArray[np.uint8], value: int) -> None:
    """Works in place."""
    parts, count = ndimage.label(labels == value)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        small = (sizes < _ISLAND_SHARE * sizes.max()) & (sizes > 0)
        labels[small[parts]] = 0
