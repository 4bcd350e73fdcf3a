"""Samples what is around the bones of one neck.

Everything hangs on the spine and the head: at each height the middle of the canal and of the airway are known, and the rest is
placed from there; :mod:`cspine.phantoms.ct.soft_tissue` makes HU of it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.phantoms.model.posture import CHAIN, BonePose
from cspine.phantoms.model.skeleton import Skeleton

_MUSCLES = 13
"""Muscle bundles on each side."""

_AIRWAY: dict[str, tuple[float, float, float, float]] = {
    "skull": (-22.0, 16.0, 8.0, 6.0),
    "C1": (-15.0, 3.0, 9.0, 4.5),
    "C2": (-20.0, -4.0, 11.0, 6.0),
    "C3": (-25.0, 0.0, 12.0, 6.5),
    "C4": (-36.0, 4.0, 6.0, 9.5),
    "C5": (-38.0, 0.0, 5.0, 9.0),
    "C6": (-36.0, 0.0, 8.0, 8.5),
    "C7": (-34.0, 0.0, 8.8, 8.5),
    "T1": (-33.0, 0.0, 9.0, 8.5),
    "T2": (-33.0, 0.0, 9.0, 8.5),
    "T3": (-34.0, 0.0, 9.0, 8.5),
}
"""Middle of the airway in the frame of a bone, y and z, and its half width and half depth."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Holds what is known at each height of the neck.

    Attributes:
        heights_mm: World z, rising, ``(n,)``.
        canal_mm: Middle of the spinal canal, world x and y, ``(n, 2)``.
        front_mm: Distance from there to the front of the vertebral bodies, ``(n,)``.
        airway_heights_mm: World z at which the airway is known, rising, ``(m,)``.
        airway_mm: Its middle, world x and y, and its half width and half depth, ``(m, 4)``.
    """

    heights_mm: NDArray[np.float64]
    canal_mm: NDArray[np.float64]
    front_mm: NDArray[np.float64]
    airway_heights_mm: NDArray[np.float64]
    airway_mm: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """Soft tissue of one neck.

    Attributes:
        course: Where spine and airway run.
        head: Where the skull lies.
        shoulder_mm: World z of the top of the shoulders.
        throat_mm: World z where trachea, thyroid and gullet begin.
        width_mm: Half the width of the neck.
        depth_mm: From the canal to the skin of the nape.
        fat_mm: Thickness of the fat under the skin.
        muscle_hu: Muscle.
        vessel_hu: Vessels; higher with contrast.
        thyroid_hu: Thyroid gland.
        bundles: Middles of muscle bundles about the canal on one side, in units of half width and half depth, ``(k, 2)``.
        seed: Which noise.
    """

    course: Course = field(repr=False)
    head: BonePose = field(repr=False)
    shoulder_mm: float
    throat_mm: float
    width_mm: float
    depth_mm: float
    fat_mm: float
    muscle_hu: float
    vessel_hu: float
    thyroid_hu: float
    bundles: NDArray[np.float64] = field(repr=False)
    seed: int


def sample_tissue(rng: np.random.Generator, poses: dict[str, BonePose], skeleton: Skeleton, lift_mm: float) -> Tissue:
    """Returns the soft tissue around a skeleton.

    Args:
        rng: Samples it.
        poses: Where the bones lie.
        skeleton: Their shapes.
        lift_mm: How high the shoulders are pulled.
    """
    size = float(np.mean([pose.size[0] for pose in poses.values()])) / 0.92
    contrast = rng.random() < 0.25
    return Tissue(
        course=_sample_course(rng, poses, skeleton),
        head=poses["skull"],
        shoulder_mm=float(poses["T1"].centre[2] + 30 + lift_mm + rng.normal(0, 5)),
        throat_mm=float(poses["C6"].centre[2]),
        width_mm=float(rng.normal(62, 6) * size),
        depth_mm=float(rng.normal(56, 6) * size),
        fat_mm=float(rng.gamma(4.0, 1.3) + 1.5),
        muscle_hu=float(rng.normal(63, 6)),
        vessel_hu=float(rng.uniform(150, 330) if contrast else rng.normal(45, 4)),
        thyroid_hu=float(rng.normal(165 if contrast else 105, 15)),
        bundles=_sample_bundles(rng),
        seed=int(rng.integers(1 << 20)),
    )


def _sample_course(rng: np.random.Generator, poses: dict[str, BonePose], skeleton: Skeleton) -> Course:
    open_airway = np.clip(rng.normal(1.0, 0.2), 0.5, 1.5)
    swing = rng.normal(0, 1.2)
    canal, airway = [], []
    for name in CHAIN:
        pose = poses[name]
        if name != "skull":
            body = skeleton.vertebrae[name].body
            middle = pose.to_world(np.array([0.0, body.canal_mm, 0.0]))
            canal.append((middle[2], middle[0], middle[1], (body.canal_mm + body.size_mm[1] / 2) * pose.size[1]))
        y, z, wide, deep = _AIRWAY[name]
        at = pose.to_world(np.array([0.0, y, z]))
        loose = open_airway if name in ("skull", "C1", "C2", "C3") else 1.0
        size = float(pose.size.mean()) / 0.92
        airway.append((at[2], at[0] + swing, at[1], wide * size * loose, deep * size * loose * rng.uniform(0.85, 1.15)))
    spine, air = (np.array(sorted(rows)) for rows in (canal, airway))
    return Course(spine[:, 0], spine[:, 1:3], spine[:, 3], air[:, 0], air[:, 1:])


def _sample_bundles(rng: np.random.Generator) -> NDArray[np.float64]:
    """Samples middles of the muscle bundles of one side: three rings behind the spine, two bundles in front, one beside."""
    behind = [
        (r * np.sin(a), r * np.cos(a))
        for r, angles in ((0.3, (0.3, 1.1)), (0.55, (0.2, 0.7, 1.25)), (0.85, (0.1, 0.45, 0.85, 1.3)))
        for a in angles
    ]
    rest = [(0.16, -0.5), (0.42, -0.42), (0.75, -0.45), (0.85, -0.05)]
    return np.asarray((behind + rest)[:_MUSCLES]) + rng.normal(0, 0.035, (_MUSCLES, 2))
