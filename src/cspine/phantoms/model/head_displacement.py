"""Moves what a fractured dens carries along: the atlas and the head sit on it, and go where it goes."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cspine.phantoms.model.injuries.pieces import Fracture, Motion
from cspine.phantoms.model.neck import PlacedBone
from cspine.phantoms.model.posture import BonePose

_CARRYING = frozenset({"odontoid_type_2", "odontoid_type_3"})
_CARRIED = frozenset({"C1", "skull", "jaw"})


def displace_head(bones: Iterable[PlacedBone]) -> list[PlacedBone]:
    """Returns the same bones; if a dens broke off and moved, atlas, skull and jaw moved with it."""
    out = list(bones)
    for axis in [bone for bone in out if bone.name == "C2"]:
        for injury in axis.injuries:
            if isinstance(injury, Fracture) and injury.facts.kind in _CARRYING and not injury.motions[0].at_rest:
                out = [
                    replace(bone, pose=_moved(bone.pose, axis.pose, injury.motions[0])) if bone.name in _CARRIED else bone
                    for bone in out
                ]
    return out


def _moved(pose: BonePose, axis: BonePose, motion: Motion) -> BonePose:
    """Returns a pose after a motion that is given in the frame of the axis."""
    own = Rotation.from_rotvec(motion.turn_deg, degrees=True).as_matrix()
    turn: NDArray[np.float64] = axis.turn @ own @ axis.turn.T
    pivot = axis.to_world(np.asarray(motion.pivot_mm))
    shift = axis.turn @ (axis.size * np.asarray(motion.shift_mm))
    return BonePose(turn @ pose.turn, pose.size, turn @ (pose.centre - pivot) + pivot + shift)
