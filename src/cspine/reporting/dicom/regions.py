"""Marks where to look at a stored image, as a viewer draws it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.results import LevelFinding

_SQUARE = 1e-3
_RADIUS_MM = 20.0
"""Where a level has a centre but no box."""


@dataclass(frozen=True, slots=True, eq=False)
class RoundRegion:
    """A round region of an image.

    Attributes:
        graphic_type: ``CIRCLE``; ``ELLIPSE`` where pixels are not square, so that it is round in millimetres.
        points: Column and row of its points as PS3.3, C.18.6.1, asks for them, ``(n, 2)``; the first pixel is centred on 0.5.
    """

    graphic_type: str
    points: NDArray[np.float64]


def region_on(plane: Grid, finding: LevelFinding) -> RoundRegion | None:
    """Returns a region around a vertebra on an image; ``None`` where it has no place, or lies beside the image.

    Args:
        plane: The image, as :meth:`cspine.study.Study.plane` gives it.
        finding: The level.
    """
    if finding.centre_mm is None:
        return None
    centre, half = _disc(plane, finding)
    row, column = plane.index(centre)[1:] + 0.5
    rows, columns = plane.shape[1:]
    if not (0 < row < rows and 0 < column < columns):
        return None
    height, width = plane.spacing_mm[1:]
    radius = min(half, row * height, (rows - row) * height, column * width, (columns - column) * width)
    middle = np.array((column, row))
    across, down = np.array((radius / width, 0.0)), np.array((0.0, radius / height))
    if abs(height / width - 1) < _SQUARE:
        return RoundRegion("CIRCLE", np.stack((middle, middle + across)))
    major, minor = (across, down) if width < height else (down, across)
    return RoundRegion("ELLIPSE", np.stack((middle - major, middle + major, middle - minor, middle + minor)))


def _disc(plane: Grid, finding: LevelFinding) -> tuple[NDArray[np.float64], float]:
    """Returns the centre in the world and radius in millimetres: the box of the level as the image sees it."""
    if finding.box_mm is None:
        return np.asarray(finding.centre_mm, dtype=np.float64), _RADIUS_MM
    low, high = np.asarray(finding.box_mm.low_mm), np.asarray(finding.box_mm.high_mm)
    extents = np.abs(plane.directions[:, 1:]).T @ (high - low)
    return (low + high) / 2, float(extents.max()) / 2
