"""Poses vertebrae on each other.

A neck is a chain from T3 up to the skull: every joint bends, turns and tilts a little about the middle between two bones, and
every bone has a size of its own. What follows is where each bone lies in the world.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cspine.geometry import Vector

CHAIN = ("T3", "T2", "T1", "C7", "C6", "C5", "C4", "C3", "C2", "C1", "skull")
"""Bones from the chest up."""


@dataclass(frozen=True, slots=True, eq=False)
class BonePose:
    """Says where a bone lies: ``world = turn @ (size * own) + centre``.

    Attributes:
        turn: Rotation, ``(3, 3)``.
        size: Scale along the bone's own x, y, z, ``(3,)``.
        centre: The bone's origin in the world, mm, ``(3,)``.
    """

    turn: NDArray[np.float64]
    size: NDArray[np.float64]
    centre: NDArray[np.float64]

    def to_world(self, own: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns world coordinates ``(..., 3)`` of points ``(..., 3)`` in the bone's frame."""
        world: NDArray[np.float64] = (np.asarray(own, dtype=np.float64) * self.size) @ self.turn.T + self.centre
        return world

    @property
    def own_matrix(self) -> NDArray[np.float64]:
        """Returns the matrix of ``own = own_matrix @ (world - centre)``, ``(3, 3)``."""
        matrix: NDArray[np.float64] = self.turn.T / self.size[:, None]
        return matrix


@dataclass(frozen=True, slots=True)
class Joint:
    """Says how a bone sits on the one below.

    Attributes:
        angles_deg: Rotation about x (positive bends the head forwards), y (to its left) and z (turns the face to its left).
        stretch: How much farther apart the two are than at rest.
        slip_mm: A small shift of the upper bone, ``(x, y, z)``.
    """

    angles_deg: Vector
    stretch: float = 1.0
    slip_mm: Vector = (0.0, 0.0, 0.0)


def stack(
    steps: dict[str, NDArray[np.float64]], sizes: dict[str, NDArray[np.float64]], joints: dict[str, Joint], base_mm: Vector
) -> dict[str, BonePose]:
    """Builds the chain.

    Args:
        steps: Where each bone but the lowest rests in the frame of the one below, ``(4, 4)``, by the upper one's name.
        sizes: Scale of each bone along its own axes, ``(3,)``.
        joints: How each bone sits on the one below; the lowest one's turns the whole neck.
        base_mm: World coordinates of the lowest bone.
    """
    lowest, *others = (name for name in CHAIN if name in joints)
    poses = {lowest: BonePose(_bend(joints[lowest]), sizes[lowest], np.asarray(base_mm, dtype=np.float64))}
    under = poses[lowest]
    for name in others:
        joint, step = joints[name], steps[name]
        turn = under.turn @ step[:3, :3] @ _bend(joint)
        half = step[:3, 3] * joint.stretch / 2
        rise = under.turn @ (under.size * half) + turn @ (sizes[name] * (step[:3, :3].T @ half))
        under = poses[name] = BonePose(turn, sizes[name], under.centre + rise + turn @ np.asarray(joint.slip_mm))
    return poses


def _bend(joint: Joint) -> NDArray[np.float64]:
    return Rotation.from_euler("zyx", joint.angles_deg[::-1], degrees=True).as_matrix()
