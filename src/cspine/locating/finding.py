"""From a scan to its vertebrae, with one network: a look at all of it, then one at where the neck is."""

import numpy as np

from cspine.geometry import Vector
from cspine.locating.levels import Located, locate_levels
from cspine.locating.looking import look, look_again
from cspine.results import LevelStatus
from cspine.runtime import Session
from cspine.specs import VolumeSpec
from cspine.volume import Volume


def locate(volume: Volume, spec: VolumeSpec, session: Session) -> Located:
    """Finds C1..C7 in a scan.

    The second look is for a neck of which the first is sure: it sees one window, which no other contradicts, and would make a neck
    of a loin.

    Args:
        volume: The scan, however it is oriented.
        spec: What the network is fed.
        session: The network.

    Raises:
        PackageError: The network does not do what it should.
    """
    seen = look(volume, spec, session)
    located = locate_levels(seen.probabilities, seen.grid, seen.seen)
    if not is_sure(located):
        return located
    seen = look_again(volume, seen, middle_mm(located), spec, session)
    return locate_levels(seen.probabilities, seen.grid, seen.seen)


def is_sure(located: Located) -> bool:
    """Whether any name is."""
    return any(one.status is not LevelStatus.UNCERTAIN for one in located.vertebrae)


def middle_mm(located: Located) -> Vector:
    """Half-way between the outermost of the vertebrae that were found."""
    centres = np.array([one.centre_mm for one in located.vertebrae])
    x, y, z = (float(value) for value in (centres.min(axis=0) + centres.max(axis=0)) / 2)
    return x, y, z
