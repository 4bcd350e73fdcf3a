"""Sizes and distances of vertebrae that were located, by which their names can be checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.imaging.vertebrae import frame
from cspine.locating.located import Located, Vertebra
from cspine.results import LevelStatus

PITCHES_MM = {Level.C1: 17.0, Level.C2: 22.0, Level.C3: 17.2, Level.C4: 15.8, Level.C5: 15.8, Level.C6: 17.2}
"""Usual distances of the middle of a vertebra, arch and all, from that of the next below: medians of 8 phantoms and 22 patients."""

HEIGHTS_MM = {Level.C2: 25.0, Level.C3: 18.8, Level.C4: 14.8, Level.C5: 14.5, Level.C6: 15.1, Level.C7: 14.5}
"""Usual heights of bodies, that of C2 with its dens. Source as above."""

DEPTHS_MM = {Level.C2: 40.0, Level.C3: 36.0, Level.C4: 35.5, Level.C5: 38.0, Level.C6: 45.0, Level.C7: 50.0}
"""Usual distances from the front of a body to the end of its arch. Source as above."""

WIDTHS_MM = {Level.C3: 43.0, Level.C4: 46.5, Level.C5: 47.8, Level.C6: 48.8, Level.C7: 47.8}
"""Usual widths over the lateral masses. Source as above."""

_TAILS, _BODY_TAILS = (2.0, 98.0), (5.0, 95.0)
"""Percentiles between which a vertebra, and its body, is measured: a few stray voxels do not count."""

_MIDDLE_MM, _BODY_MM = 9.0, 14.0
"""How far beside the middle a body is measured, and how deep it is."""

_FEWEST_VOXELS = 20


@dataclass(frozen=True, slots=True)
class Measures:
    """Sizes of one vertebra.

    Attributes:
        level: What it is called.
        whole: Whether the scan holds all of it.
        height_mm: Of its body, along the spine.
        depth_mm: From the front of its body to the end of its arch.
        width_mm: Over its lateral masses.
        pitch_mm: Distance of its middle from that of the next level below; ``None`` where that was not found.
    """

    level: Level
    whole: bool
    height_mm: float
    depth_mm: float
    width_mm: float
    pitch_mm: float | None = None


def measure(located: Located) -> tuple[Measures, ...]:
    """Returns the sizes of each vertebra of which there are enough voxels, head to chest."""
    grid, labels = located.labels.grid, located.labels.labels
    places = np.argwhere((labels >= Level.C1) & (labels <= Level.C7))
    names = labels[tuple(places.T)]
    pitches = _pitches(located.vertebrae)
    found = []
    for one in located.vertebrae:
        own = places[names == one.level]
        if len(own) >= _FEWEST_VOXELS:
            found.append(_sizes(one, grid.world(own), pitches.get(one.level)))
    return tuple(found)


def scale(measures: Sequence[Measures]) -> float:
    """Returns the size of a neck against the usual one: the median over all that was measured; 1 where nothing was."""
    ratios = [one.pitch_mm / PITCHES_MM[one.level] for one in measures if one.pitch_mm is not None]
    ratios += [one.depth_mm / DEPTHS_MM[one.level] for one in measures if one.whole and one.level in DEPTHS_MM]
    ratios += [one.width_mm / WIDTHS_MM[one.level] for one in measures if one.whole and one.level in WIDTHS_MM]
    return float(np.median(ratios)) if ratios else 1.0


def _pitches(vertebrae: Sequence[Vertebra]) -> dict[Level, float]:
    """Returns the distance from each vertebra to the next, where both are whole: the middle of a part is not the middle."""
    return {
        upper.level: float(np.linalg.norm(np.subtract(upper.centre_mm, lower.centre_mm)))
        for upper, lower in pairwise(vertebrae)
        if lower.level == upper.level + 1 and not _is_cut(upper) and not _is_cut(lower)
    }


def _is_cut(vertebra: Vertebra) -> bool:
    return vertebra.status is LevelStatus.PARTLY_IN_VIEW


def _sizes(vertebra: Vertebra, places_mm: NDArray[np.float64], pitch_mm: float | None) -> Measures:
    up, back, left = ((places_mm - vertebra.centre_mm) @ frame(vertebra.axis)).T
    right_end, left_end = np.percentile(left, _TAILS)
    middle = np.abs(left - (right_end + left_end) / 2) < _MIDDLE_MM
    if np.count_nonzero(middle) < _FEWEST_VOXELS:
        middle[:] = True
    front, rear = np.percentile(back, _TAILS)
    body = middle & (back < np.percentile(back[middle], _TAILS[0]) + _BODY_MM)
    low, high = np.percentile(up[body], _BODY_TAILS)
    return Measures(
        level=vertebra.level,
        whole=not _is_cut(vertebra),
        height_mm=float(high - low),
        depth_mm=float(rear - front),
        width_mm=float(left_end - right_end),
        pitch_mm=pitch_mm,
    )
