"""Colours a heat map: nothing where it is faint, then ember to yellow, legible on grey and to all eyes."""

import numpy as np
from numpy.typing import NDArray

from cspine.evidence import HeatMap
from cspine.geometry import Vector
from cspine.imaging import sample
from cspine.reporting.once import once_per_result
from cspine.results import Box
from cspine.volume import Volume

_FAINT = 0.25
_OPAQUE = 0.62
_COLOURS = np.array([(205, 60, 40), (255, 140, 50), (255, 232, 120)], dtype=np.float64)


def ramp() -> NDArray[np.uint8]:
    """Returns red, green, blue and opacity of the values 0..255, ``(256, 4)``."""
    share = np.clip((np.arange(256) / 255 - _FAINT) / (1 - _FAINT), 0, 1)
    stops = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(share, stops, _COLOURS[:, channel]) for channel in range(3)]
    return np.rint(np.stack([*channels, 255 * _OPAQUE * np.sqrt(share)], axis=1)).astype(np.uint8)


def coloured(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns the pixels of a heat map, ``(rows, columns, 4)``."""
    return ramp()[np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)]


def hottest_mm(heat: HeatMap, box: Box) -> Vector:
    """Returns the world point of the largest value in a box."""
    values, world = _upright(heat)
    middle, half = (np.add(box.low_mm, box.high_mm) / 2, np.subtract(box.high_mm, box.low_mm) / 2)
    reach = half + np.asarray(heat.grid.canonical().spacing_mm)[::-1] / 2
    inside = np.logical_and.reduce([np.abs(world[axis] - middle[axis]) <= reach[axis] for axis in range(3)])
    if not inside.any():
        return float(middle[0]), float(middle[1]), float(middle[2])
    x, y, z = world.reshape(3, -1)[:, np.argmax(np.where(inside, values, -1))]
    return float(x), float(y), float(z)


@once_per_result
def _upright(heat: HeatMap) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Returns the values along the axes of the patient, ``(z, y, x)``, and the world coordinates of each, ``(3, z, y, x)``."""
    grid = heat.grid.canonical()
    values = sample(Volume(heat.values, heat.grid), grid, fill=0.0).hu
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    return values, np.ascontiguousarray(np.moveaxis(world, -1, 0))
