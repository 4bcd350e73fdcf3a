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

_WIDEST_MM, _LARGEST_CM2 = 215.0, 350.0
"""A neck is less wide, or less large across. The smallest of three heights had at most 172 mm and 255 cm2 in 138 planning CT of
adults, at least 316 mm and 610 cm2 in three trunks. Sandbags or arms that touch a neck make it wide, not as large."""

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
    def extent(self) -> tuple[float, float] | None:
        """Returns width in mm and area in cm2 of the body around the vertebra, inner air included; ``None`` where it is not seen.

        The width is measured beside the vertebra.
        """
        tissue = ndimage.binary_opening((self.hu > _TISSUE_HU) & self.seen, np.ones((3, 3), bool))
        parts, _ = ndimage.label(tissue)
        near = slice(_MIDDLE - _ROWS, _MIDDLE + _ROWS + 1)
        own = np.bincount(parts[near, near].ravel())[1:]
        if not own.size or not own.max():
            return None
        body = ndimage.binary_fill_holes(parts == own.argmax() + 1)
        runs, _ = ndimage.label(body[near].any(axis=0))
        if not runs[_MIDDLE]:
            return None
        return float(np.count_nonzero(runs == runs[_MIDDLE]) * _STEP_MM), float(np.count_nonzero(body) * _STEP_MM**2 / 100)

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
    extents = [extent for extent in (slab.extent for slab in slabs) if extent is not None]
    if len(extents) < _FEWEST:
        return Witness("girth", Question.REGION, 0.0, "The body around C2 to C4 is not in view.")
    width_mm, area_cm2 = (min(each) for each in zip(*extents, strict=True))
    text = (
        f"At C2 to C4 the body is at least {width_mm:.0f} mm wide and {area_cm2:.0f} cm2 across, where a neck has less than "
        f"{_WIDEST_MM:.0f} mm or {_LARGEST_CM2:.0f} cm2."
    )
    wide = width_mm > _WIDEST_MM and area_cm2 > _LARGEST_CM2
    return Witness("girth", Question.REGION, _AGAINST if wide else 0.0, text)


def _lungs_beside(slabs: Sequence[_Slab]) -> Witness:
    share = max((slab.lung_share for slab in slabs), default=0.0)
    if share < _LUNG_SHARE:
        return Witness("lungs_beside", Question.REGION, 0.0, "There is no lung beside C2 to C4.")
    return Witness("lungs_beside", Question.REGION, _AGAINST, "There is lung on both sides of what is called C2 to C4.")
