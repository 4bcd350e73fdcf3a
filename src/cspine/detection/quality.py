"""Scans that are not judged, and why: every check has a code and a sentence for people."""

import numpy as np
from numpy.typing import NDArray

from cspine.locating import Located
from cspine.modelpack import QualityLimits
from cspine.results import LevelStatus, Reason
from cspine.volume import Volume

_LOOKED_AT = 2_000_000
"""Voxels that the check of Hounsfield units looks at, at most."""

_AIR_BELOW, _BONE_ABOVE, _SOFT_TISSUE = -150.0, 300.0, (-200.0, 200.0)
_SMALLEST_SHARE_OF_SOFT_TISSUE = 0.01


def check_scan(volume: Volume, limits: QualityLimits) -> tuple[Reason, ...]:
    """What forbids judging a scan, before any network has seen it; nothing if it may be judged."""
    grid = volume.grid.canonical()
    slices, shortest, thickest = grid.shape[0], min(grid.extent_mm), max(grid.spacing_mm)
    reasons = []
    if not _is_hounsfield(volume.hu):
        low, high = float(volume.hu.min()), float(volume.hu.max())
        reasons.append(
            Reason(
                "not_hounsfield",
                f"A CT of a neck holds air, soft tissue and bone. These values, {low:.0f} to {high:.0f}, do not look so.",
            )
        )
    if slices < limits.fewest_slices:
        reasons.append(
            Reason("too_few_slices", f"At least {limits.fewest_slices} slices from head to feet are needed. There are {slices}.")
        )
    if thickest > limits.thickest_mm:
        reasons.append(
            Reason("too_thick", f"Slices must be {limits.thickest_mm:g} mm apart at most. These are {thickest:.2f} mm apart.")
        )
    if shortest < limits.shortest_mm:
        text = f"The scan must reach over {limits.shortest_mm:g} mm in every direction. It reaches over {shortest:.1f} mm."
        reasons.append(Reason("too_short", text))
    return tuple(reasons)


def check_located(located: Located) -> tuple[Reason, ...]:
    """What forbids judging a scan once its vertebrae were looked for."""
    if any(vertebra.status is not LevelStatus.UNCERTAIN for vertebra in located.vertebrae):
        return ()
    if located.vertebrae:
        text = "Vertebrae were found, but not which of the neck they are."
        return (Reason("levels_uncertain", text),)
    return (Reason("no_cervical_spine", "No cervical vertebra was found in this scan."),)


def _is_hounsfield(hu: NDArray[np.float32]) -> bool:
    step = max(1, round((hu.size / _LOOKED_AT) ** (1 / 3)))
    seen = hu[::step, ::step, ::step]
    soft = np.mean((seen > _SOFT_TISSUE[0]) & (seen < _SOFT_TISSUE[1]))
    return bool(seen.min() < _AIR_BELOW and seen.max() > _BONE_ABOVE and soft > _SMALLEST_SHARE_OF_SOFT_TISSUE)
