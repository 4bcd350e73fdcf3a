"""Vertebra masks, brought onto images by their affines."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.datasets.case import Case
from cspine.errors import DatasetError, StudyError
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reading.messages import Refusal
from cspine.reading.nifti import slices_of
from cspine.volume import LabelMap

_LARGEST_LABEL = 255
_SMALL_SHARE = 0.1
"""A part of a label smaller than this share of its largest part is noise."""


def load_mask(path: str | Path) -> LabelMap:
    """Returns the mask of a NIfTI file where it lies in the world, as stored.

    Raises:
        DatasetError: It cannot be read, is not three-dimensional, or holds something else than labels 0..255.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            slices = slices_of(file, path.name)
            labels = np.empty(slices.grid.shape, dtype=np.uint8)
            for index, values in enumerate(slices.values):
                labels[index] = _labels(values, path)
    except StudyError as error:
        if error.code == Refusal.NIFTI_DIMENSIONS.code:
            raise DatasetError(f"{path} needs three axes of numbers ({_inner(error)}). Remove or repair it.") from error
        raise DatasetError(
            f"{path} cannot be read as a mask ({_inner(error)}). Give a NIfTI file of integer labels, or remove it."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read as a mask ({error.strerror}). Give a NIfTI file of integer labels, or remove it."
        ) from error
    return LabelMap(labels, slices.grid)


def mask_on(grid: Grid, path: str | Path) -> LabelMap:
    """Returns the mask of a file on the grid of an image: each voxel takes the nearest label, 0 outside the mask.

    Raises:
        DatasetError: As :func:`load_mask`.
    """
    return sample(load_mask(path), grid)


def read_mask(case: Case, grid: Grid) -> LabelMap:
    """Returns the mask of a case on a grid, without small components, which are noise.

    Raises:
        DatasetError: The case has no mask, or as :func:`load_mask`.
    """
    if case.mask is None:
        raise DatasetError(f"Study {case.study_uid} needs a mask in segmentations/, and has none. Choose a study that has one.")
    return sample(without_small_components(load_mask(case.mask)), grid)


def without_small_components(mask: LabelMap) -> LabelMap:
    """Returns the mask without parts of a label that are much smaller than its largest part."""
    labels = mask.labels.copy()
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            _clear_small_components(labels[box], value)
    return LabelMap(labels, mask.grid)


def centroids_mm(mask: LabelMap) -> dict[int, NDArray[np.float64]]:
    """Returns the world coordinates of the centroid of every label."""
    found = {}
    for value, box in enumerate(ndimage.find_objects(mask.labels), start=1):
        if box is not None:
            index = np.argwhere(mask.labels[box] == value).mean(axis=0) + [axis.start for axis in box]
            found[value] = mask.grid.world(index)
    return found


def _labels(values: NDArray[np.float64], path: Path) -> NDArray[np.uint8]:
    """Returns the numbers of a slice as labels."""
    if not np.array_equal(values, np.rint(values)):
        raise DatasetError(f"{path} needs integer labels. Received fractions, as of a mask that was resampled linearly. Repair it.")
    if not (values.min() >= 0 and values.max() <= _LARGEST_LABEL):
        raise DatasetError(f"{path} needs labels 0..{_LARGEST_LABEL}. Received: {values.min():g}..{values.max():g}. Repair it.")
    return values.astype(np.uint8)


def _inner(error: StudyError) -> str:
    return str(error).rstrip(".")


def _clear_small_components(labels: NDArray[np.uint8], value: int) -> None:
    """Removes small components in place."""
    parts, count = ndimage.label(labels == value)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        small = (sizes < _SMALL_SHARE * sizes.max()) & (sizes > 0)
        labels[small[parts]] = 0
