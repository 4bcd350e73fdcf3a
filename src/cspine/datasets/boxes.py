"""Fracture boxes, from a stored image into the world and onto a stack.

The number of a slice is the name of a file. Where that file lies along the neck is said by its position alone.
"""

from dataclasses import dataclass, field

import numpy as np
import pydicom
from numpy.typing import NDArray

from cspine.datasets.case import Case, SliceBox
from cspine.datasets.folder import slice_path
from cspine.errors import DatasetError, one_line
from cspine.study import Study


@dataclass(frozen=True, slots=True, eq=False)
class WorldBox:
    """A box in the patient.

    Attributes:
        slice_index: The slice of the stack whose plane is nearest, counted from 0.
        rows: First and last edge along the rows of the volume, in voxels; voxel ``i`` reaches from ``i - 0.5`` to ``i + 0.5``.
        columns: The same along its columns.
        corners_mm: World coordinates of the four corners, ``(4, 3)``.
    """

    slice_index: int
    rows: tuple[float, float]
    columns: tuple[float, float]
    corners_mm: NDArray[np.float64] = field(repr=False)

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """Returns the world coordinates of its centre, ``(3,)``."""
        centre: NDArray[np.float64] = self.corners_mm.mean(axis=0)
        return centre


def box_in_world(study: Study, case: Case, box: SliceBox) -> WorldBox:
    """Returns where a box lies, from the position that its own file states.

    Raises:
        DatasetError: The file of the slice is absent, has no geometry, or is another image.
    """
    corners = _corners_mm(case, box)
    grid = study.volume.grid
    index = grid.index(corners)
    slice_index = round(float(index[:, 0].mean()))
    low, high = index.min(axis=0), index.max(axis=0)
    rows, columns = (float(low[1]), float(high[1])), (float(low[2]), float(high[2]))
    return WorldBox(min(max(slice_index, 0), grid.shape[0] - 1), rows, columns, corners)


def _corners_mm(case: Case, box: SliceBox) -> NDArray[np.float64]:
    path = slice_path(case.images, box.slice_number)
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        number = int(header.get("InstanceNumber") or box.slice_number)
        position = np.asarray(header.ImagePositionPatient, dtype=np.float64)
        along_row, along_column = np.asarray(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        row_spacing, column_spacing = (float(value) for value in header.PixelSpacing)
        geometry = np.concatenate([position.reshape(3), along_row, along_column, [row_spacing, column_spacing]])
    except Exception as error:  # pydicom raises whatever comes up over a damaged header
        raise DatasetError(
            f"The box of study {case.study_uid} needs {path.name} with its geometry. Received: {one_line(str(error))}."
        ) from error
    if not np.isfinite(geometry).all():
        raise DatasetError(f"The box of study {case.study_uid} needs {path.name} with numbers for its geometry. Repair the file.")
    if number != box.slice_number:
        raise DatasetError(
            f"The box of study {case.study_uid} needs image {box.slice_number}. {path.name} says that it is {number}."
        )
    x = (np.array([box.x, box.x + box.width]) - 0.5) * column_spacing
    y = (np.array([box.y, box.y + box.height]) - 0.5) * row_spacing
    corners: NDArray[np.float64] = np.stack([position + a * along_row + b * along_column for b in y for a in x])
    return corners
