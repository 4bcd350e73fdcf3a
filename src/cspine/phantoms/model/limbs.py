"""Arms and hands beside a neck, as CT shows them: what a localiser must not take for a neck."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Vector
from cspine.phantoms.model.shapes import Capsule, Combined, Ellipsoid, ImplicitShape

_UPPER_ARM_MM, _FOREARM_MM, _HAND_MM = 300.0, 250.0, 85.0
_SIDES = (-1, 1)
_SHOULDER_MM: Vector = (163.0, -4.0, -32.0)
"""Where the head of the humerus lies, seen from T1."""

_NEAREST_MM = 128.0
"""Elbows come no nearer to the middle: there is the head."""


@dataclass(frozen=True, slots=True)
class LimbPart:
    """A stretch of soft tissue: a rod that tapers.

    Attributes:
        start_mm: Where it begins.
        end_mm: Where it ends.
        radii_mm: Its radius at either end.
    """

    start_mm: Vector
    end_mm: Vector
    radii_mm: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Limb:
    """An arm, or a hand alone.

    Attributes:
        kind: ``arm`` or ``hand``.
        bones: Its bones in the world.
        parts: Its soft tissue.
        fat_mm: Thickness of the fat under the skin.
        muscle_hu: Muscle.
    """

    kind: str
    bones: tuple[ImplicitShape, ...] = field(repr=False)
    parts: tuple[LimbPart, ...] = field(repr=False)
    fat_mm: float
    muscle_hu: float


def sample_arms(rng: np.random.Generator, chest_mm: NDArray[np.float64], lift_mm: float) -> tuple[Limb, ...]:
    """Samples both arms, raised beside the head; elbows stand beside neck or head, forearms fold over it or go on.

    Args:
        rng: Random generator.
        chest_mm: World place of T1.
        lift_mm: How high the shoulders are pulled.
    """
    outwards, forwards = rng.uniform(-0.15, 0.5), rng.uniform(-0.6, 0.35)
    folded, thick = rng.uniform(-0.3, 1.4), rng.uniform(0.8, 1.3)
    fat, muscle = float(rng.uniform(2, 12)), float(rng.normal(58, 6))
    arms = []
    for side in _SIDES:
        shoulder = chest_mm + np.array([side * _SHOULDER_MM[0], _SHOULDER_MM[1], _SHOULDER_MM[2] + lift_mm])
        way = _unit(np.array([side * (outwards + rng.normal(0, 0.08)), forwards + rng.normal(0, 0.08), 1.0]))
        elbow = shoulder + _UPPER_ARM_MM * way
        elbow[0] = chest_mm[0] + side * max(side * (elbow[0] - chest_mm[0]), _NEAREST_MM)
        on = _unit(np.array([-side * folded, rng.uniform(-0.5, 0.5), 1.0]))
        wrist = elbow + _FOREARM_MM * on
        arms.append(_arm((shoulder, elbow, wrist), float(thick), (fat, muscle)))
    return tuple(arms)


def sample_hand(rng: np.random.Generator, neck_mm: NDArray[np.float64]) -> Limb:
    """Samples a hand beside neck or cheek, on it or under it, with a piece of its forearm."""
    side, angle = rng.choice(_SIDES), rng.uniform(-1.1, 1.1)
    away = rng.uniform(105, 135) * np.array([side * np.cos(angle), np.sin(angle), 0.0])
    wrist = neck_mm + away + np.array([0.0, -20.0, rng.uniform(-50, 60)])
    along = _unit(np.array([-side * 0.3 * rng.random(), rng.normal(0, 0.4), rng.choice(_SIDES)]))
    bones, parts = _hand(wrist, along, _across(along))
    start = wrist - 120 * along
    bones += [Capsule(_vector(start + d), _vector(wrist + 0.6 * d), 6.5) for d in (12 * _across(along), -12 * _across(along))]
    parts.append(LimbPart(_vector(start), _vector(wrist), (36.0, 27.0)))
    return Limb("hand", tuple(bones), tuple(parts), float(rng.uniform(1, 5)), float(rng.normal(58, 6)))


def _arm(joints: tuple[NDArray[np.float64], ...], thick: float, tissue: tuple[float, float]) -> Limb:
    shoulder, elbow, wrist = joints
    on = _unit(wrist - elbow)
    side = _across(on)
    bones: list[ImplicitShape] = [Capsule(_vector(shoulder), _vector(elbow), 11.0)]
    condyles = [Ellipsoid(_vector(elbow + d * side), (13.0, 13.0, 13.0)) for d in (-19.0, 19.0)]
    bones.append(Combined((*condyles, Capsule(_vector(elbow - 24 * side), _vector(elbow + 24 * side), 9.0))))
    bones.append(Capsule(_vector(elbow + 15 * side + 4 * on), _vector(wrist + 14 * side), 7.5))
    bones.append(Capsule(_vector(elbow - 12 * side - 16 * on), _vector(wrist - 12 * side), 7.0))
    parts = [
        LimbPart(_vector(shoulder), _vector(elbow), (58 * thick, 42 * thick)),
        LimbPart(_vector(elbow), _vector(wrist), (44 * thick, 27 * thick)),
    ]
    hand, flesh = _hand(wrist, on, side)
    return Limb("arm", (*bones, *hand), (*parts, *flesh), *tissue)


def _hand(
    wrist: NDArray[np.float64], along: NDArray[np.float64], side: NDArray[np.float64]
) -> tuple[list[ImplicitShape], list[LimbPart]]:
    """Returns eight carpals in two rows, and five rays of four bones each."""
    bones: list[ImplicitShape] = []
    for row in range(2):
        for k in range(4):
            bones.append(Ellipsoid(_vector(wrist + (8 + 13 * row) * along + (k - 1.5) * 13 * side), (7.0, 7.0, 7.0)))
    parts = [LimbPart(_vector(wrist), _vector(wrist + _HAND_MM * along), (27.0, 33.0))]
    for ray in range(5):
        aside = (ray - 2) * side
        knots = [wrist + reach * along + spread * aside for reach, spread in ((30, 13), (84, 19), (122, 21), (146, 22), (164, 23))]
        bones += [
            Capsule(_vector(a + 3 * along), _vector(b - 3 * along), radius)
            for (a, b), radius in zip(pairwise(knots), (4.8, 4.2, 3.6, 3.2), strict=True)
        ]
        parts.append(LimbPart(_vector(knots[1]), _vector(knots[-1]), (10.5, 8.0)))
    return bones, parts


def _across(way: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns a unit vector at right angles to another, as level as may be."""
    return _unit(np.cross(way, np.array([0.13, 1.0, 0.07])))


def _unit(way: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(way / np.linalg.norm(way))


def _vector(place: NDArray[np.float64]) -> Vector:
    x, y, z = (float(n) for n in place)
    return x, y, z
