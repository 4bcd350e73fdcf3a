"""Where the levels lie: from the slices in which a network sees them to millimetres in the patient.

A slice network knows heights only. In the plane, the bone around the spine is followed from level to level (mean shift), starting
at the bone of the middle levels.
"""

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Vector
from cspine.modelpack import PooledScores
from cspine.results import Box
from cspine.volume import Volume

_BONE_HU = 200.0
_REACH_MM = 35.0
"""A vertebra lies within this distance of its middle; jaw and shoulders lie beyond."""

_SHIFTS = 12


class Places:
    """Where each level in view lies."""

    def __init__(self, stack: Volume, pooled: PooledScores) -> None:
        """Finds them.

        Args:
            stack: Upright slices from feet to head, as the network saw them.
            pooled: Which of them show which level.
        """
        self._grid, self._pooled = stack.grid, pooled
        shown = [level for level in CERVICAL if pooled.in_view[level - 1]]
        middle = sorted(shown, key=lambda level: abs(level - Level.C5))
        self._bone = {level: _bone_in(stack, pooled.first_slice[level - 1], pooled.last_slice[level - 1]) for level in shown}
        self._plane: dict[Level, NDArray[np.float64]] = {}
        for level in middle:
            self._plane[level] = _mean_shift(self._bone[level], self._start(level))

    def centre_mm(self, level: Level) -> Vector:
        """Middle of a level, LPS ``(x, y, z)``."""
        x, y = self._plane[level]
        return float(x), float(y), sum(self._heights(level)) / 2

    def key_point_mm(self, level: Level) -> Vector:
        """The point of a level in the slice that speaks loudest, LPS ``(x, y, z)``."""
        x, y = self._plane[level]
        return float(x), float(y), float(self._grid.world((int(self._pooled.key_slice[level - 1]), 0, 0))[2])

    def box_mm(self, level: Level) -> Box:
        """The bone of a level and the slices in which it is visible."""
        near = _near(self._bone[level], self._plane[level])
        points = near if len(near) else self._plane[level][None]
        (x0, y0), (x1, y1) = np.percentile(points, 1, axis=0), np.percentile(points, 99, axis=0)
        low, high = self._heights(level)
        return Box((float(x0), float(y0), low), (float(x1), float(y1), high))

    def _start(self, level: Level) -> NDArray[np.float64]:
        """The nearest level that is placed, else the median of this level's bone."""
        if self._plane:
            return self._plane[min(self._plane, key=lambda placed: abs(placed - level))]
        bone = self._bone[level]
        return np.median(bone, axis=0) if len(bone) else self._grid.centre_mm[:2]

    def _heights(self, level: Level) -> tuple[float, float]:
        first, last = self._pooled.first_slice[level - 1], self._pooled.last_slice[level - 1]
        return float(self._grid.world((first - 0.5, 0, 0))[2]), float(self._grid.world((last + 0.5, 0, 0))[2])


def _bone_in(stack: Volume, first: int, last: int) -> NDArray[np.float64]:
    """World x and y of the bone voxels of some slices, ``(n, 2)``."""
    return stack.grid.world(np.argwhere(stack.hu[first : last + 1] > _BONE_HU))[:, :2]


def _near(bone: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    near: NDArray[np.float64] = bone[np.linalg.norm(bone - centre, axis=1) <= _REACH_MM]
    return near


def _mean_shift(bone: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moves to the middle of the bone within reach until it stays there (Fukunaga and Hostetler, 1975)."""
    centre = start
    for _ in range(_SHIFTS):
        near = _near(bone, centre)
        if not len(near):
            break
        centre = near.mean(axis=0)
    return centre
