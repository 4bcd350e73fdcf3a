"""Samples how bad a fracture is: one number, and what follows from it.

Severity is sampled from Beta(1.3, 1.8): most fractures are slight, a few are gross; mean 0.42. At 0 the gap is 0.2 mm and nothing
moved, less than half a voxel of a fine scan; from 0.3 on fragments move, at 1 by 3 mm in the middle of the spread, with a
gap of up to 3 mm. The distribution is our choice: no public data tell gap and displacement of cervical fractures one by one.
"""

from dataclasses import dataclass

import numpy as np

HAIRLINE_MM = 0.2
WIDEST_MM = 3.0
FARTHEST_MM = 5.0

_MOVES_FROM = 0.3
_TYPICAL_MM = 3.0
_TURN_DEG = 9.0


@dataclass(frozen=True, slots=True)
class Severity:
    """Says what a severity means for one fracture.

    Attributes:
        share: 0..1.
        gap_mm: Width of the fracture line, 0.2 to 3 mm.
        displacement_mm: How far the main fragment goes, 0 to 5 mm.
        angle_deg: How far it turns.
    """

    share: float
    gap_mm: float
    displacement_mm: float
    angle_deg: float


def sample_severity(rng: np.random.Generator, share: float | None = None) -> Severity:
    """Samples a severity, or what a given one means; with the same chance, more severe is wider and farther."""
    sampled = float(rng.beta(1.3, 1.8))
    wider, farther, turned = rng.normal(0, 0.2), rng.normal(0, 0.25), rng.uniform(0.3, 1.0)
    share = sampled if share is None else share
    moved = max(0.0, (share - _MOVES_FROM) / (1 - _MOVES_FROM))
    # half the width of the widest gap comes from the distance of the fragments, which adds to it
    gap = HAIRLINE_MM * (0.5 * WIDEST_MM / HAIRLINE_MM) ** share * np.exp(wider * share)
    return Severity(
        share=share,
        gap_mm=float(np.clip(gap, HAIRLINE_MM, WIDEST_MM)),
        displacement_mm=float(np.clip(_TYPICAL_MM * moved * np.exp(farther), 0, FARTHEST_MM)),
        angle_deg=float(_TURN_DEG * moved * turned),
    )
