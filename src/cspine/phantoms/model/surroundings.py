"""Bones around the neck, from meshes and rods: what a localiser must learn not to call cervical."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Vector
from cspine.phantoms.model.neck import Material, PlacedBone, Warp
from cspine.phantoms.model.posture import BonePose
from cspine.phantoms.model.shapes import Capsule, Combined, Ellipsoid, Field, ImplicitShape, Moved, Points, Sampled
from cspine.phantoms.model.skeleton import HOSTS, Skeleton

NECK_JOINT_MM: Vector = (0.0, 2.0, 12.0)
"""Where the skull turns on the atlas, in the frame of C1."""

_CONDYLES_MM: Vector = (19.0, 0.0, 15.0)
_FORAMEN_MM: tuple[Vector, Vector] = ((0.0, 16.0, 25.0), (15.5, 17.0, 22.0))
_SIDES = (-1, 1)

_RIBS: dict[str, tuple[Vector, ...]] = {
    "T1": ((15, 9, 2), (36, 24, -3), (52, 20, -10), (62, 0, -20), (58, -25, -30), (38, -48, -38), (22, -55, -42)),
    "T2": ((16, 10, 2), (40, 28, -6), (66, 24, -16), (84, -4, -30), (80, -36, -44), (55, -62, -56), (30, -70, -60)),
    "T3": ((16, 10, 2), (42, 30, -8), (76, 28, -22), (98, -6, -40), (94, -44, -58), (66, -72, -72), (32, -80, -76)),
}
_CLAVICLE: tuple[Vector, ...] = ((18, -64, -46), (45, -70, -36), (85, -48, -22), (135, -14, -10))
_SHOULDER_BLADE: tuple[Vector, ...] = ((70, 52, -30), (105, 42, -18), (140, 8, -8))


@dataclass(frozen=True, slots=True)
class Teeth:
    """Enamel and dentine in a box of a jaw's own frame: much denser than bone, crown by crown."""

    low_mm: Vector
    high_mm: Vector
    hu: float

    @property
    def spare_mm(self) -> float:
        """Returns 0: nothing grows."""
        return 0.0

    def reshape(self, points: Points, distance: Field) -> Field:
        """Cuts gaps between the crowns."""
        inside = np.nonzero(self._inside(points))
        out = distance.copy()
        around = np.arctan2(points[0][inside], -(points[1][inside] - np.float32(self.high_mm[1])))
        gap = np.abs(np.mod(around * np.float32(14 / np.pi), 1) - 0.5) - 0.42
        out[inside] = np.maximum(out[inside], gap * 8)
        return out

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Gives enamel outside, dentine within."""
        tooth = np.float32(self.hu) * np.clip(1 + distance / 6, 0.6, 1)
        return np.where(self._inside(points), np.maximum(hu, tooth), hu).astype(np.float32)

    def _inside(self, points: Points) -> NDArray[np.bool_]:
        inside = np.ones(points.shape[1:], np.bool_)
        for axis, low, high in zip(points, self.low_mm, self.high_mm, strict=True):
            inside &= (axis >= low) & (axis <= high)
        return inside


@dataclass(frozen=True, slots=True)
class Junction:
    """Says how near skull and jaw are to C1 and the dens.

    Attributes:
        settling_mm: How far the skull sank onto C1.
        basion_mm: Height of the lower end of the clivus above the middle of C1's ring; ``None`` adds no clivus.
        opisthion_mm: The same of the hind rim of the foramen magnum.
        jaw_back_mm: How far the jaw lies farther back.
    """

    settling_mm: float = 0.0
    basion_mm: float | None = None
    opisthion_mm: float = 12.0
    jaw_back_mm: float = 0.0

    def rims(self) -> tuple[ImplicitShape, ...]:
        """Returns clivus and hind rim, in the frame of the skull's joint; they go where the skull goes."""
        if self.basion_mm is None:
            return ()
        low = self.basion_mm - NECK_JOINT_MM[2] + self.settling_mm
        high = self.opisthion_mm - NECK_JOINT_MM[2] + self.settling_mm
        clivus = [Capsule((x, -5.0, low + 5.0), (0.6 * x, -30.0, low + 40.0), 5.0) for x in (-6.0, 0.0, 6.0)]
        around = [(-17.0, 20.0), (-11.0, 30.0), (0.0, 34.0), (11.0, 30.0), (17.0, 20.0)]
        rim = [Capsule((a, b, high + 4.5), (c, d, high + 4.5), 4.5) for (a, b), (c, d) in pairwise(around)]
        return (*clivus, *rim)


_AS_USUAL = Junction()


def sample_surroundings(
    rng: np.random.Generator,
    skeleton: Skeleton,
    poses: dict[str, BonePose],
    material: Material,
    lift_mm: float,
    junction: Junction = _AS_USUAL,
) -> list[PlacedBone]:
    """Samples skull, jaw, hyoid, larynx, ribs and shoulder girdle.

    Args:
        rng: Samples their sizes.
        skeleton: Their shapes and where they rest.
        poses: Where the vertebrae and the skull lie.
        material: What they are made of.
        lift_mm: How high the shoulders are pulled.
        junction: How near skull and jaw are to C1.
    """
    placed = _head(rng, skeleton, poses, material, junction)
    cartilage = replace(material, cortex_mm=0.7, cortex_hu=float(rng.uniform(180, 500)), cancellous_hu=float(rng.uniform(80, 160)))
    for name, made in (("hyoid", replace(material, cortex_mm=0.6)), ("larynx", cartilage)):
        host = poses[HOSTS[name].name]
        frame = skeleton.context_frames[name].copy()
        frame[:3, 3] += rng.normal(0, (0.5, 3.0, 4.0))
        placed.append(PlacedBone(name, Moved(Sampled(skeleton.context[name]), frame), host, made, Warp.none()))
    for name, course in _RIBS.items():
        for side in _SIDES:
            rib = _rod(course, side, 4.2, 0.0)
            placed.append(PlacedBone("rib", rib, poses[name], replace(material, cortex_mm=0.9), Warp.none()))
    girdle = replace(poses["T1"], turn=np.eye(3))
    for part in _shoulders(lift_mm):
        placed.append(PlacedBone("shoulder", part, girdle, replace(material, cortex_mm=1.4), Warp.none()))
    return placed


def _head(
    rng: np.random.Generator, skeleton: Skeleton, poses: dict[str, BonePose], material: Material, junction: Junction
) -> list[PlacedBone]:
    joint = np.eye(4)
    joint[:3, 3] = NECK_JOINT_MM
    frames = {name: np.linalg.inv(joint) @ skeleton.context_frames[name] for name in ("skull", "jaw")}
    x, y, z = np.subtract(_CONDYLES_MM, NECK_JOINT_MM)
    condyles = [Ellipsoid((float(side * x), float(y), float(z)), (6.5, 10.5, 7.0)) for side in _SIDES]
    middle = np.subtract(_FORAMEN_MM[0], NECK_JOINT_MM)
    foramen = Ellipsoid((float(middle[0]), float(middle[1]), float(middle[2])), _FORAMEN_MM[1])
    pierced = Combined((Moved(Sampled(skeleton.context["skull"]), frames["skull"]),), (foramen,))
    opened = frames["jaw"].copy()
    opened[:3, 3] += (0.0, rng.uniform(0, 3), -abs(rng.normal(0, 4)))
    opened[1, 3] += junction.jaw_back_mm
    enamel = float(rng.uniform(1800, 2800))
    upper, lower = (_tooth_row(frames["skull"], skeleton, "skull", enamel), _tooth_row(opened, skeleton, "jaw", enamel))
    dense = replace(material, cortex_mm=1.6, cortex_hu=material.cortex_hu * 1.15, cancellous_hu=material.cancellous_hu * 1.3)
    return [
        PlacedBone("skull", Combined((pierced, *condyles, *junction.rims())), poses["skull"], dense, Warp.none(), changes=(upper,)),
        PlacedBone("jaw", Moved(Sampled(skeleton.context["jaw"]), opened), poses["skull"], dense, Warp.none(), changes=(lower,)),
    ]


def _tooth_row(frame: NDArray[np.float64], skeleton: Skeleton, name: str, hu: float) -> Teeth:
    """Returns the lowest centimetre of the upper jaw, or the highest of the front of the lower one, as teeth."""
    shape = skeleton.context[name]
    low = shape.corners_mm().min(axis=0)
    if name == "skull":
        box = np.array([(-32, low[1], low[2]), (32, low[1] + 52, low[2] + 14)])
    else:
        chin = low[1] + 45
        row = shape.steps[:, : int((chin - low[1]) / shape.spacing_mm)] < 0
        top = shape.first_mm[2] + shape.spacing_mm * float(np.nonzero(row.any(axis=(1, 2)))[0].max())
        box = np.array([(-32, low[1], top - 9), (32, chin, top + 2)])
    box = box + frame[:3, 3]  # heads turn as one, so the frames are parallel
    (x0, y0, z0), (x1, y1, z1) = ((float(v) for v in corner) for corner in box)
    return Teeth((x0, y0, z0), (x1, y1, z1), hu)


def _shoulders(lift_mm: float) -> list[ImplicitShape]:
    parts: list[ImplicitShape] = []
    for side in _SIDES:
        parts.append(_rod(_CLAVICLE, side, 5.5, lift_mm))
        blade = Ellipsoid((side * 95.0, 52.0, -70.0 + lift_mm), (42.0, 4.5, 52.0))
        parts.append(Combined((_rod(_SHOULDER_BLADE, side, 6.0, lift_mm), blade)))
        parts.append(Ellipsoid((side * 163.0, -4.0, -32.0 + lift_mm), (23.0, 23.0, 25.0)))
    parts.append(Ellipsoid((0.0, -70.0, -68.0), (27.0, 8.0, 27.0)))
    return parts


def _rod(course: tuple[Vector, ...], side: int, radius_mm: float, lift_mm: float) -> ImplicitShape:
    """Returns a bent rod on one side."""
    places = [(side * x, y, z + lift_mm) for x, y, z in course]
    return Combined(tuple(Capsule(a, b, radius_mm) for a, b in pairwise(places)))
