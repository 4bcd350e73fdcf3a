"""Witnesses that a spine is that of a trunk: a body wider than a neck, or lungs, beside what is called C2 to C4.

They look at the scan itself, as far to either side as it goes, and speak against a neck or say nothing: a limb is narrow too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating.located import Located, Question, Witness
from cspine.volume import Volume

_LEVELS = (Level.C2, Level.C3, Level.C4)
"""Shoulders may be beside the levels below."""

_STEP_MM, _HALF_MM, _SLICES = 4.0, 220.0, 3
_MIDDLE = round(_HALF_MM / _STEP_MM)
"""A slab of pixels of so many millimetres reaches so far to each side of a vertebra, whose pixel is the middle one."""

_UNSEEN_HU = -3000.0
_TISSUE_HU, _LUNG_HU = -350.0, (-940.0, -500.0)

_FEWEST = 2
"""Slabs that are measured at least: at one height there may be an arm, a shoulder or a rest beside the neck."""

_ROWS = 5
"""Pixels before and behind the middle of a vertebra within which the body counts as wide."""

_WIDEST_MM = 215.0
"""The narrowest of three heights was 108 to 172 mm wide in 138 planning CT of adults, and more than 248 mm in four trunks."""

_BESIDE, _AHEAD, _BEHIND = slice(7, 16), 10, 4
"""Where lungs are: pixels to either side, before and behind the middle of a vertebra."""

_LUNG_SHARE = 0.5
"""Of these pixels; at most 0.2 were as dense as lung in 138 planning CT, and 0.95 in a chest."""

_AGAINST = -6.0
"""Log-likelihood ratio where a witness speaks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Slab:
    """Holds HU around one vertebra, ``(y, x)``, and which pixels the scan shows."""

    hu: NDArray[np.float32]
    seen: NDArray[np.bool_]

    @property
    def width_mm(self) -> float:
        """Returns how wide the body is from the vertebra to both sides, inner air included; 0 where the vertebra is not seen."""
        tissue = ndimage.binary_opening((self.hu > _TISSUE_HU) & self.seen, np.ones((3, 3), bool))
        parts, _ = ndimage.label(tissue)
        near = slice(_MIDDLE - _ROWS, _MIDDLE + _ROWS + 1)
        own = np.bincount(parts[near, near].ravel())[1:]
        if not own.size or not own.max():
            return 0.0
        body = ndimage.binary_fill_holes(parts == own.argmax() + 1)
        runs, _ = ndimage.label(body[near].any(axis=0))
        return float(np.count_nonzero(runs == runs[_MIDDLE]) * _STEP_MM) if runs[_MIDDLE] else 0.0

    @property
    def lung_share(self) -> float:
        """Returns which share of the places of lungs is as dense as lung, on the side that has less of it."""
        rows = slice(_MIDDLE - _AHEAD, _MIDDLE + _BEHIND)
        lung = (self.hu > _LUNG_HU[0]) & (self.hu < _LUNG_HU[1]) & self.seen
        left, right = lung[rows, _MIDDLE:][:, _BESIDE], lung[rows, _MIDDLE::-1][:, _BESIDE]
        return float(min(left.mean(), right.mean()))


def trunk(located: Located, volume: Volume) -> list[Witness]:
    """Returns whether the body beside what is called C2 to C4 is as wide as a trunk, and whether there are lungs in it.

    Args:
        located: The vertebrae.
        volume: The scan in which they were located.
    """
    slabs = list(_slabs(located, volume))
    return [_girth(slabs), _lungs_beside(slabs)]


def _slabs(located: Located, volume: Volume) -> Iterator[_Slab]:
    side = 2 * _MIDDLE + 1
    for one in located.vertebrae:
        if one.level in _LEVELS:
            grid = Grid.upright(one.centre_mm, (_SLICES, side, side), (_STEP_MM,) * 3)
            hu = sample(volume, grid, fill=_UNSEEN_HU).hu.mean(axis=0)
            yield _Slab(hu, hu > (_UNSEEN_HU - 1000) / 2)


def _girth(slabs: Sequence[_Slab]) -> Witness:
    widths_mm = [width_mm for width_mm in (slab.width_mm for slab in slabs) if width_mm]
    if len(widths_mm) < _FEWEST:
        return Witness("girth", Question.REGION, 0.0, "The body around C2 to C4 is not in view.")
    narrowest_mm = min(widths_mm)
    text = f"The body is {narrowest_mm:.0f} mm wide at the narrowest of C2 to C4, where a neck is less than {_WIDEST_MM:.0f} mm."
    return Witness("girth", Question.REGION, _AGAINST if narrowest_mm > _WIDEST_MM else 0.0, text)


def _lungs_beside(slabs: Sequence[_Slab]) -> Witness:
    share = max((slab.lung_share for slab in slabs), default=0.0)
    if share < _LUNG_SHARE:
        return Witness("lungs_beside", Question.REGION, 0.0, "There is no lung beside C2 to C4.")
    return Witness("lungs_beside", Question.REGION, _AGAINST, "There is lung on both sides of what is called C2 to C4.")
