"""Assembles the bones of a neck as they rest on one another, whatever levels its anatomy lacks.

What is missing is borrowed from the first shipped anatomy; T1..T3 are made of C7. Distances between neighbours are brought to
those of life.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.phantoms.meshes.anatomy import Anatomy, BoneShape, shipped_anatomies

_WORN = 1.035
"""Discs are sampled worn as often as they are; this is how far apart sound ones hold their vertebrae, against the mean."""

DISTANCES_MM = {"C1": 17.1, "C2": 18.5, "C3": 15.9, "C4": 16.1, "C5": 16.1, "C6": 17.7, "C7": 18.8}
"""Mean distance of a vertebra's centroid to the next one's, from the name down to the chest."""

_CHEST = ("T1", "T2", "T3")
_CHEST_STEP_MM = 20.0
_CHEST_TILT_DEG = {"T1": 2.0, "T2": -4.0, "T3": -5.0}
"""By how much each is turned against the one above, forwards: the neck's slope goes over into the curve of the chest."""

_STRAIGHT = 0.7
"""A neighbour that lies aside by more than 45 degrees, as a cosine, has a frame of its own."""

_ASTRAY_MM = 40.0
"""So has another bone that lies farther than this from where it lies in the first anatomy."""

_TALLER = {"T1": 1.18, "T2": 1.22, "T3": 1.25}
"""Height of a thoracic body against C7's."""


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """The bones of a neck at rest.

    Attributes:
        vertebrae: C1..C7 and T1..T3 by name.
        steps: Where each but the lowest rests in the frame of the one below, ``(4, 4)``, by the upper one's name.
        heights: By how much each is stretched along its own z.
        context: Skull, jaw, hyoid and larynx by name.
        context_frames: Where these rest in the frame of ``C1`` (skull, jaw) and of ``C4`` (hyoid, larynx), ``(4, 4)``.
    """

    vertebrae: dict[str, BoneShape] = field(repr=False)
    steps: dict[str, NDArray[np.float64]] = field(repr=False)
    heights: dict[str, float]
    context: dict[str, BoneShape] = field(repr=False)
    context_frames: dict[str, NDArray[np.float64]] = field(repr=False)


HOSTS = {"skull": Level.C1, "jaw": Level.C1, "hyoid": Level.C4, "larynx": Level.C4}
"""The vertebra that each other bone hangs on."""


def assemble(anatomy: Anatomy) -> Skeleton:
    """Returns the skeleton of an anatomy, at the size of a mean adult."""
    lender = shipped_anatomies()[0]
    own = {level: anatomy.vertebrae.get(level, lender.vertebrae[level]) for level in CERVICAL}
    steps = {upper: _step(anatomy, lender, own, upper) for upper in CERVICAL[:-1]}
    vertebrae = {level.name: bone for level, bone in own.items()} | dict.fromkeys(_CHEST, own[Level.C7])
    named = {level.name: step for level, step in steps.items()} | _chest_steps()
    heights = _heights(named)
    for upper in named:
        lower = _below(upper)
        named[upper][:3, 3] *= _WORN * DISTANCES_MM.get(upper, _CHEST_STEP_MM) / _length(named[upper])
        named[upper][:3, 3] /= (heights[upper] + heights[lower]) / 2
    context, frames = _context(anatomy, lender)
    return Skeleton(vertebrae, named, heights, context, frames)


def _context(anatomy: Anatomy, lender: Anatomy) -> tuple[dict[str, BoneShape], dict[str, NDArray[np.float64]]]:
    """Returns every other bone, with its place in the frame of its host; borrowed where it, or its host, is absent."""
    bones, frames = {}, {}
    for name, bone in lender.context.items():
        own = name in anatomy.context and HOSTS[name] in anatomy.vertebrae
        source = anatomy if own else lender
        bones[name] = source.context[name] if own else bone
        frames[name] = _inside(source.vertebrae[HOSTS[name]], bones[name])
        usual = _inside(lender.vertebrae[HOSTS[name]], bone)
        if np.linalg.norm(frames[name][:3, 3] - usual[:3, 3]) > _ASTRAY_MM:
            frames[name] = usual
    return bones, frames


def _step(anatomy: Anatomy, lender: Anatomy, own: dict[Level, BoneShape], upper: Level) -> NDArray[np.float64]:
    lower = Level(upper + 1)
    usual = _inside(lender.vertebrae[lower], lender.vertebrae[upper])
    if upper in anatomy.vertebrae and lower in anatomy.vertebrae:
        step = _inside(own[lower], own[upper])
        straight = step[:3, 3] @ usual[:3, 3] > _STRAIGHT * _length(step) * _length(usual)
        if 8 < _length(step) < 40 and straight:
            return step
    # bones of two anatomies, or with a frame each, rest as the lender's do, as deep as the lower one is
    usual[1, 3] *= own[lower].body.size_mm[1] / lender.vertebrae[lower].body.size_mm[1]
    return usual


def _inside(lower: BoneShape, upper: BoneShape) -> NDArray[np.float64]:
    """Returns the frame of one bone in that of another of the same anatomy."""
    step: NDArray[np.float64] = np.linalg.inv(lower.frame) @ upper.frame
    return step


def _chest_steps() -> dict[str, NDArray[np.float64]]:
    steps = {}
    for upper, lower in zip(("C7", *_CHEST), _CHEST, strict=False):
        angle = np.radians(-_CHEST_TILT_DEG[lower])
        step = np.eye(4)
        step[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        step[:3, 3] = 0, -1.0, _CHEST_STEP_MM
        steps[upper] = step
    return steps


def _heights(steps: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Returns how much taller each body is made for the distances around it, within reason; discs take the rest."""
    names = [*(level.name for level in CERVICAL), *_CHEST]
    asked = {upper: DISTANCES_MM.get(upper, _CHEST_STEP_MM) / _length(steps[upper]) for upper in names[:-1]}
    heights = {}
    for number, name in enumerate(names):
        around = [asked[n] for n in names[max(number - 1, 0) : number + 1] if n in asked]
        heights[name] = _TALLER.get(name, 1.0) * float(np.clip(np.mean(around), 0.88, 1.1))
    return heights


def _below(upper: str) -> str:
    names = [*(level.name for level in CERVICAL), *_CHEST]
    return names[names.index(upper) + 1]


def _length(step: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(step[:3, 3]))
