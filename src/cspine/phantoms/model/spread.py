"""Sets how far necks may differ: as in life, or far beyond it, to train networks that know a vertebra by itself."""

from dataclasses import dataclass

from cspine.geometry import Vector


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations that :func:`cspine.phantoms.sample_neck` samples with.

    Attributes:
        flexion_deg: Of the whole neck, forwards and back.
        lean_deg: Of the whole neck, sideways.
        turn_deg: Of the whole neck.
        joint_deg: Of each joint by itself, ``(x, y, z)``.
        stretch: Of the distance of two neighbours, relative.
        slip_mm: Of one vertebra on the next, ``(x, y, z)``.
        person: Of the size, the width and the height of all vertebrae of a neck, relative.
        vertebra: Of the size of each vertebra along its own axes, relative.
        warp_mm: Amplitude of each wave that bends a vertebra's surface.
    """

    flexion_deg: float = 11.0
    lean_deg: float = 5.0
    turn_deg: float = 9.0
    joint_deg: Vector = (1.6, 1.0, 1.0)
    stretch: float = 0.025
    slip_mm: Vector = (0.3, 0.5, 0.0)
    person: Vector = (0.06, 0.035, 0.04)
    vertebra: Vector = (0.025, 0.03, 0.05)
    warp_mm: float = 0.4


LIFE = Spread()

BEYOND_LIFE = Spread(
    flexion_deg=20.0,
    lean_deg=9.0,
    turn_deg=16.0,
    joint_deg=(7.0, 5.0, 6.0),
    stretch=0.1,
    slip_mm=(0.8, 1.5, 0.0),
    person=(0.12, 0.08, 0.08),
    vertebra=(0.07, 0.07, 0.15),
    warp_mm=0.9,
)
"""Each vertebra on its own: a level must be known by its shape and by counting, not by where one anatomy has it."""
