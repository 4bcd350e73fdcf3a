"""Traits of a scan that must not predict fractures, from the headers of its first and last image."""

from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from cspine.datasets.case import Case
from cspine.datasets.folder import slice_path
from cspine.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Traits:
    """Describes how a study was scanned.

    Attributes:
        slices: Number of images.
        length_mm: From the first to the last.
        slice_distance_mm: Between neighbours, on average.
        field_of_view_mm: Width of an image.
        falls: 1 where the head comes first by file number, 0 where the feet do.
    """

    slices: float
    length_mm: float
    slice_distance_mm: float
    field_of_view_mm: float
    falls: float


def traits(case: Case) -> Traits:
    """Returns the traits of a study.

    Raises:
        DatasetError: It has no images, or their headers lack geometry.
    """
    numbers = sorted(int(path.stem) for path in case.images.glob("*.dcm") if path.stem.isdigit())
    if not numbers:
        raise DatasetError(f"Study {case.study_uid} needs images. {case.images} has none.")
    try:
        first, last = (
            pydicom.dcmread(slice_path(case.images, number), stop_before_pixels=True) for number in (numbers[0], numbers[-1])
        )
        way = np.asarray(last.ImagePositionPatient, dtype=np.float64) - np.asarray(first.ImagePositionPatient, dtype=np.float64)
        width = float(first.PixelSpacing[1]) * int(first.Columns)
    except (OSError, ValueError, TypeError, AttributeError, InvalidDicomError) as error:
        raise DatasetError(f"Study {case.study_uid} needs images with their geometry. Received: {error}.") from error
    length = float(np.linalg.norm(way))
    return Traits(len(numbers), length, length / max(len(numbers) - 1, 1), width, float(way[2] < 0))
