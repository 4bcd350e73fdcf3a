"""Samples what of a scan is kept where the rest was set to -1024 HU, as planning CT is often shared.

Kept are the body up to its skin, between two heights and within planes, and a tube around cord and brainstem, which contours of
the clinic keep everywhere. Borders are sharp; they follow voxels.
"""

from dataclasses import dataclass

import numpy as np

MASKED_HU = -1024.0

_CUT_ABOVE, _CUT_BELOW, _CUT_FRONT, _CUT_SIDES, _GAP = 0.7, 0.6, 0.35, 0.25, 0.15
"""How often masks of the planning CT beside the repository cut where."""


@dataclass(frozen=True, slots=True)
class ScanMask:
    """Says what is kept.

    Attributes:
        skin_mm: How far beyond the skin the mask goes.
        top_mm: Nothing above this height of the world, but the tube.
        bottom_mm: Nothing below, but the tube.
        side_mm: Nothing farther to either side of the canal.
        front: Nothing in front of a plane: how far before the canal it stands at the height of C1's top, and how far it runs back
            for each millimetre down; the tube stays.
        gap_mm: Between these heights everything but the tube is missing.
        tube_mm: Radius of the tube around the middle of the canal.
    """

    skin_mm: float
    top_mm: float = np.inf
    bottom_mm: float = -np.inf
    side_mm: float = np.inf
    front: tuple[float, float] = (np.inf, 0.0)
    gap_mm: tuple[float, float] = (np.inf, np.inf)
    tube_mm: float = 7.0


def sample_scan_mask(rng: np.random.Generator, heights_mm: dict[str, float]) -> ScanMask:
    """Samples a mask; at least C3 to C5 stay in view.

    Args:
        rng: Random generator.
        heights_mm: World z of the middle of each vertebra by name.
    """
    uniforms = rng.random(5)
    top = heights_mm["C1"] + rng.uniform(-12, 70)
    bottom = rng.uniform(heights_mm["T3"] - 15, heights_mm["C6"])
    side, near, slant = rng.uniform(45, 120), rng.uniform(35, 90), rng.uniform(-0.3, 0.6)
    start = rng.uniform(heights_mm["T2"], heights_mm["C6"])
    skin, thick, tube = rng.uniform(-1, 4), rng.uniform(3, 9), rng.uniform(5, 11)
    return ScanMask(
        skin_mm=float(skin),
        top_mm=float(top) if uniforms[0] < _CUT_ABOVE else np.inf,
        bottom_mm=float(bottom) if uniforms[1] < _CUT_BELOW else -np.inf,
        side_mm=float(side) if uniforms[2] < _CUT_SIDES else np.inf,
        front=(float(near), float(slant)) if uniforms[3] < _CUT_FRONT else (np.inf, 0.0),
        gap_mm=(float(start), float(start + thick)) if uniforms[4] < _GAP else (np.inf, np.inf),
        tube_mm=float(tube),
    )
