"""Images that know where they lie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.errors import GeometryError
from cspine.geometry import Grid

AIR_HU = -1000.0
"""What lies outside a scan."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A CT image.

    Attributes:
        hu: Hounsfield units, ``(z, y, x)``: float32, or int16 where a scan was read whose values are whole numbers, which takes
            half the memory. What is sampled is float32.
        grid: Where the voxels lie.
    """

    hu: NDArray[Any]
    grid: Grid

    def __post_init__(self) -> None:
        _check(self.hu, (np.float32, np.int16), self.grid)

    def in_float32(self) -> "Volume":
        """Returns the same image in float32, for arithmetic that int16 has no room for; itself where it is that already."""
        return self if self.hu.dtype == np.float32 else Volume(self.hu.astype(np.float32), self.grid)


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Says which structure each voxel belongs to.

    Attributes:
        labels: Values of :class:`cspine.anatomy.Level`, 0 elsewhere, ``(z, y, x)``.
        grid: Where the voxels lie.
    """

    labels: NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        _check(self.labels, (np.uint8,), self.grid)


def _check(array: NDArray[np.generic], dtypes: tuple[type[np.generic], ...], grid: Grid) -> None:
    if array.shape != grid.shape or array.dtype not in dtypes:
        wanted = f"{' or '.join(np.dtype(dtype).name for dtype in dtypes)} of shape {grid.shape}"
        raise GeometryError(f"An array must be {wanted}, as its grid says. Received: {array.dtype.name} of shape {array.shape}.")
