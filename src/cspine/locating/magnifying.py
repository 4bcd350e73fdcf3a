"""A scan, and what was found in it, as if the patient were larger: networks trained on adults locate a child's neck so.

The world is scaled about its origin, so nothing is resampled, and the way back is the inverse factor.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid, Vector
from cspine.locating.located import Located, Vertebra
from cspine.results import Box
from cspine.volume import LabelMap, Volume


def magnified(volume: Volume, factor: float) -> Volume:
    """Returns a scan whose voxels are larger by a factor."""
    return Volume(volume.hu, magnified_grid(volume.grid, factor))


def magnified_located(located: Located, factor: float) -> Located:
    """Returns what was located in a world that is larger by a factor; its magnification becomes the inverse of all factors."""
    return replace(
        located,
        vertebrae=tuple(_magnified_vertebra(one, factor) for one in located.vertebrae),
        labels=magnified_labels(located.labels, factor),
        line_mm=located.line_mm * factor,
        magnification=located.magnification / factor,
    )


def magnified_labels(labels: LabelMap, factor: float) -> LabelMap:
    """Returns a label map whose voxels are larger by a factor."""
    return LabelMap(labels.labels, magnified_grid(labels.grid, factor))


def magnified_grid(grid: Grid, factor: float) -> Grid:
    """Returns a grid in a world that is larger by a factor."""
    affine = grid.affine.copy()
    affine[:3] *= factor
    return replace(grid, affine=affine)


def _magnified_vertebra(vertebra: Vertebra, factor: float) -> Vertebra:
    box = Box(_vector(np.multiply(vertebra.box_mm.low_mm, factor)), _vector(np.multiply(vertebra.box_mm.high_mm, factor)))
    return replace(vertebra, centre_mm=_vector(np.multiply(vertebra.centre_mm, factor)), box_mm=box)


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
