"""Swollen soft tissue in front of the spine: blood under a fracture pushes the throat forwards."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cspine.phantoms.model.neck import PlacedBone
from cspine.phantoms.model.tissue import Tissue

_IN_FRONT = frozenset(
    {"anterior_arch", "jefferson", "odontoid_type_2", "odontoid_type_3", "pars", "body", "teardrop", "compression", "burst"}
)
"""Fractures that bleed to the front."""

_OFTEN = 0.6
_WITHOUT_CAUSE = 0.04
_LENGTH_MM = 20.0


def sample_prevertebral_swelling(rng: np.random.Generator, tissue: Tissue, bones: Iterable[PlacedBone]) -> Tissue:
    """Returns the tissue, swollen in front of some fractures; now and then for no reason that the bones show."""
    heights, sizes = [], []
    for bone in bones:
        for injury in bone.injuries:
            if injury.facts.kind in _IN_FRONT and rng.random() < _OFTEN:
                heights.append(float(bone.pose.centre[2]))
                sizes.append(float(rng.uniform(1, 3) + rng.uniform(0, 5) * injury.facts.severity))
    if rng.random() < _WITHOUT_CAUSE:
        canal = tissue.course.heights_mm
        heights.append(float(rng.uniform(canal.min(), canal.max())))
        sizes.append(float(rng.uniform(1, 5)))
    return with_prevertebral_swelling(tissue, heights, sizes)


def with_prevertebral_swelling(tissue: Tissue, heights_mm: list[float], sizes_mm: list[float]) -> Tissue:
    """Pushes the airway forwards, most at some heights; what swells at one place does not add up."""
    course = tissue.course
    forwards = np.zeros(len(course.airway_heights_mm))
    for height, size in zip(heights_mm, sizes_mm, strict=True):
        forwards = np.maximum(forwards, size * np.exp(-(((course.airway_heights_mm - height) / _LENGTH_MM) ** 2)))
    airway = course.airway_mm.copy()
    airway[:, 1] -= forwards
    return replace(tissue, course=replace(course, airway_mm=airway))
