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

_FINE_MM = 1.0
"""Voxels so far from each other say enough about such pixels; of finer ones only some are taken."""

_UNSEEN_HU = -3000.0
_TISSUE_HU, _LUNG_HU = -350.0, (-940.0, -500.0)

_FEWEST = 2
"""Slabs that are measured at least: at one height there may be an arm, a shoulder or a rest beside the neck."""

_ROWS = 5
"""Pixels before and behind the middle of a vertebra within which the body counts as wide."""

_WIDEST_MM, _LARGEST_CM2 = 215.0, 350.0
"""A neck is less wide, or less large across. The smallest of three heights had at most 172 mm and 255 cm2 in 138 planning CT of
adults, at least 316 mm and 610 cm2 in three trunks. Sandbags or arms that touch a neck make it wide, not as large."""

_CUT_SHARE, _EDGE = 0.5, 2
"""Of the columns of a body: where more of them come so many pixels near to the end of the field of view, it is cut off."""

_BESIDE, _AHEAD, _BEHIND = slice(7, 16), 10, 4
"""Where lungs are: pixels to either side, before and behind the middle of a vertebra."""

_IN_VIEW = 0.2
"""Share of them that are in view at least."""

_LUNG_SHARE = 0.4
"""Of those in view; at most 0.16 were as dense as lung in 138 planning CT, 0.6 and more in chests."""

_AGAINST = -6.0
"""Log-likelihood ratio where a witness speaks."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """Holds how large the body is at the height of one vertebra.

    Attributes:
        width_mm: Its width beside the vertebra.
        area_cm2: Its area, as far as it is in view.
        cut: Whether the field of view cuts it off in front or behind, so that its area says little.
    """

    width_mm: float
    area_cm2: float
    cut: bool

    @property
    def of_trunk(self) -> bool:
        """Returns whether no neck is as large."""
        return self.width_mm > _WIDEST_MM and (self.cut or self.area_cm2 > _LARGEST_CM2)


@dataclass(frozen=True, slots=True, eq=False)
class _Slab:
    """Holds HU around one vertebra, ``(y, x)``, and which pixels the scan shows."""

    hu: NDArray[np.float32]
    seen: NDArray[np.bool_]

    @property
    def extent(self) -> _Extent | None:
        """Returns how large the body around the vertebra is, inner air included; ``None`` where it is not seen."""
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
        width_mm, area_cm2 = np.count_nonzero(runs == runs[_MIDDLE]) * _STEP_MM, np.count_nonzero(body) * _STEP_MM**2 / 100
        columns = body[near].any(axis=0)
        ends = (body & np.roll(~self.seen, rows, axis=0) for rows in (_EDGE, -_EDGE))
        cut = any(np.any(each, axis=0)[columns].mean() > _CUT_SHARE for each in ends)
        return _Extent(float(width_mm), float(area_cm2), cut)

    @property
    def lung_share(self) -> float:
        """Returns which share of what is seen beside the vertebra is as dense as lung, on the side with less; 0 if one is not."""
        rows = slice(_MIDDLE - _AHEAD, _MIDDLE + _BEHIND)
        lung = (self.hu > _LUNG_HU[0]) & (self.hu < _LUNG_HU[1]) & self.seen
        shares = []
        for side in (slice(_MIDDLE, None), slice(_MIDDLE, None, -1)):
            seen = self.seen[rows, side][:, _BESIDE]
            if seen.mean() < _IN_VIEW:
                return 0.0
            shares.append(float(lung[rows, side][:, _BESIDE][seen].mean()))
        return min(shares)


def trunk(located: Located, volume: Volume) -> list[Witness]:
    """Returns whether the body beside what is called C2 to C4 is as wide as a trunk, and whether there are lungs in it.

    Args:
        located: The vertebrae.
        volume: The scan in which they were located.
    """
    slabs = list(_slabs(located, volume))
    return [_girth(slabs), _lungs_beside(slabs)]


def _slabs(located: Located, volume: Volume) -> Iterator[_Slab]:
    side, volume = 2 * _MIDDLE + 1, _thinned(volume)
    for one in located.vertebrae:
        if one.level in _LEVELS:
            grid = Grid.upright(one.centre_mm, (_SLICES, side, side), (_STEP_MM,) * 3)
            hu = sample(volume, grid, fill=_UNSEEN_HU).hu.mean(axis=0)
            yield _Slab(hu, hu > (_UNSEEN_HU - 1000) / 2)


def _thinned(volume: Volume) -> Volume:
    """Returns a scan without pixels that are nearer to each other than it takes to measure a body."""
    steps = [max(1, int(_FINE_MM / spacing)) for spacing in volume.grid.spacing_mm]
    affine = volume.grid.affine.copy()
    affine[:3, :3] *= steps
    hu = volume.hu[tuple(slice(None, None, step) for step in steps)]
    return Volume(hu, Grid(hu.shape, affine, volume.grid.frame_of_reference_uid))


def _girth(slabs: Sequence[_Slab]) -> Witness:
    extents = [extent for extent in (slab.extent for slab in slabs) if extent is not None]
    if len(extents) < _FEWEST:
        return Witness("girth", Question.REGION, 0.0, "The body around C2 to C4 is not in view.")
    width_mm, area_cm2 = (min(each) for each in zip(*((one.width_mm, one.area_cm2) for one in extents), strict=True))
    text = (
        f"At C2 to C4 the body is at least {width_mm:.0f} mm wide and {area_cm2:.0f} cm2 across, where a neck has less than "
        f"{_WIDEST_MM:.0f} mm or {_LARGEST_CM2:.0f} cm2."
    )
    if any(one.cut for one in extents):
        text += " The scan does not show all of it, from front to back."
    return Witness("girth", Question.REGION, _AGAINST if all(one.of_trunk for one in extents) else 0.0, text)


def _lungs_beside(slabs: Sequence[_Slab]) -> Witness:
    share = max((slab.lung_share for slab in slabs), default=0.0)
    if share < _LUNG_SHARE:
        return Witness("lungs_beside", Question.REGION, 0.0, "There is no lung beside C2 to C4.")
    return Witness("lungs_beside", Question.REGION, _AGAINST, "There is lung on both sides of what is called C2 to C4.")
