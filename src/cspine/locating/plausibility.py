"""Plausibility of what was located: every fault has a code and a sentence for people."""

from itertools import pairwise

import numpy as np
from scipy import ndimage

from cspine.anatomy import CERVICAL, Level
from cspine.locating.located import Located, Vertebra
from cspine.locating.ordering import LENGTHS_MM
from cspine.results import LevelStatus, Reason
from cspine.volume import Volume

_LEAST_AGREEMENT = 0.6
"""Of a level's voxels: where the network calls more of them otherwise, only the order stands for the name."""

_USUAL_ML = dict(zip(CERVICAL, (14.5, 17.5, 10.0, 10.0, 11.5, 14.0, 13.5), strict=True))
"""Volumes of the vertebrae of phantoms within life."""

_LEAST, _MOST = 0.4, 2.5
"""Of a usual volume."""

_NEAR_MM, _FAR_MM = 8.0, 32.0
"""Between the middles of neighbours."""

_BONE_HU, _LEAST_BONE = 130.0, 0.35
"""What share of a mask must be how dense; readers' masks are held to the same."""


def check_plausibility(located: Located, volume: Volume) -> tuple[Reason, ...]:
    """Returns what speaks against taking the labels of a study for a mask; nothing if they may be.

    Codes: ``no_cervical_spine``, ``level_unsure``, ``level_renamed``, ``level_missing``, ``levels_apart``, ``implausible_volume``,
    ``off_bone``.

    Args:
        located: What was found.
        volume: The scan in which it was found.
    """
    if not located.vertebrae:
        return (Reason("no_cervical_spine", "No cervical vertebra was found in this scan."),)
    found = [
        _reason_of(
            "level_unsure", "What is named %s may be another level.", [one.level for one in located.vertebrae if not _is_sure(one)]
        ),
        _reason_of(
            "level_renamed",
            "The network alone names much of %s differently.",
            [one.level for one in located.vertebrae if one.agreement < _LEAST_AGREEMENT],
        ),
        _reason_of("level_missing", "%s should be in view, and was not found.", _missing(located, volume)),
        _reason_of("levels_apart", "The middle of %s lies too near to the next, or too far from it.", _apart(located)),
        _reason_of("implausible_volume", "Much smaller or larger than usual: %s.", _implausible(located)),
    ]
    share = _bone_share(located, volume)
    if share < _LEAST_BONE:
        found.append(Reason("off_bone", f"At least {_LEAST_BONE:.0%} of what was found must be bone. It is {share:.0%}."))
    return tuple(reason for reason in found if reason is not None)


def _reason_of(code: str, text: str, levels: list[Level]) -> Reason | None:
    return Reason(code, text % ", ".join(level.name for level in levels)) if levels else None


def _is_sure(vertebra: Vertebra) -> bool:
    return vertebra.status in (LevelStatus.ASSESSED, LevelStatus.PARTLY_IN_VIEW)


def _missing(located: Located, volume: Volume) -> list[Level]:
    """Returns levels between those found, and the next above and below where the scan holds the place of its middle."""
    there = [one.level for one in located.vertebrae]
    first, last = min(there), max(there)
    missing = [level for level in CERVICAL if first < level < last and level not in there]
    for level, step in ((first, -1), (last, 1)):
        if level + step in CERVICAL:
            end = located.vertebra(level)
            apart = (LENGTHS_MM[level - 1] + LENGTHS_MM[level - 1 + step]) / 2
            if end is not None and volume.grid.contains(np.array(end.centre_mm) - step * apart * np.array(end.axis)):
                missing.append(Level(level + step))
    return missing


def _apart(located: Located) -> list[Level]:
    """Returns the upper of two neighbours that are no neighbours' distance apart; of what is cut, the middle is not known."""
    whole = [one for one in located.vertebrae if one.status is LevelStatus.ASSESSED]
    pairs = [(upper, lower) for upper, lower in pairwise(whole) if lower.level == upper.level + 1]
    return [
        upper.level
        for upper, lower in pairs
        if not _NEAR_MM <= float(np.linalg.norm(np.subtract(upper.centre_mm, lower.centre_mm))) <= _FAR_MM
    ]


def _implausible(located: Located) -> list[Level]:
    labels = located.labels
    millilitres = np.bincount(labels.labels.ravel(), minlength=256) * abs(np.linalg.det(labels.grid.affine[:3, :3])) / 1000
    found = []
    for one in located.vertebrae:
        ratio = millilitres[one.level] / _USUAL_ML[one.level]
        if ratio > _MOST or (ratio < _LEAST and one.status is LevelStatus.ASSESSED):
            found.append(one.level)
    return found


def _bone_share(located: Located, volume: Volume) -> float:
    marked = np.argwhere(np.isin(located.labels.labels, CERVICAL))
    index = volume.grid.index(located.labels.grid.world(marked))
    hu = ndimage.map_coordinates(volume.hu, index.T, np.float32, order=1, mode="nearest")
    return int(np.count_nonzero(hu > _BONE_HU)) / max(len(marked), 1)
