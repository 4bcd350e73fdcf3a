"""Sections: through the world, or along a vertebra's own axes."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.gallery.subjects import Painter
from cspine.geometry import Grid
from cspine.phantoms.model.posture import BonePose

_AXES = {"axial": (2, 1, 0), "sagittal": (0, 2, 1), "coronal": (1, 2, 0)}
"""World axes of slices, rows and columns."""


def section(
    paint: Painter, centre_mm: NDArray[np.float64], plane: str, size_mm: tuple[float, float], pixel_mm: float
) -> NDArray[np.float32]:
    """Returns an upright section around a world point; ``size_mm`` is its height and width."""
    return turned(paint, np.eye(3), centre_mm, plane, size_mm, pixel_mm)


def along(paint: Painter, pose: BonePose, centre_mm: NDArray[np.float64], plane: str, side_mm: float) -> NDArray[np.float32]:
    """Returns a square section along a vertebra's own axes, 0.4 mm pixels."""
    return turned(paint, pose.turn, centre_mm, plane, (side_mm, side_mm), 0.4)


def turned(
    paint: Painter,
    axes: NDArray[np.float64],
    centre_mm: NDArray[np.float64],
    plane: str,
    size_mm: tuple[float, float],
    pixel_mm: float,
) -> NDArray[np.float32]:
    """Returns a section whose axes are columns of ``axes``; heads point up, the patient's right is on the left."""
    rows, columns = (round(size / pixel_mm) for size in size_mm)
    affine = np.eye(4)
    affine[:3, :3] = axes[:, _AXES[plane]] * pixel_mm
    affine[:3, 3] = centre_mm - affine[:3, :3] @ np.array([1.0, (rows - 1) / 2, (columns - 1) / 2])
    image: NDArray[np.float32] = paint(Grid((3, rows, columns), affine))[1]
    return image if plane == "axial" else image[::-1]


def leaning(degrees: float) -> NDArray[np.float64]:
    """Returns axes of a neck that leans forwards by an angle, as columns."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
