"""From a scan to its vertebrae, with one network: a look at all of it, then one at where the neck is."""

import numpy as np

from cspine.geometry import Vector
from cspine.locating.levels import Located, locate_levels
from cspine.locating.looking import look, look_again
from cspine.runtime import Session
from cspine.specs import VolumeSpec
from cspine.volume import Volume


def locate(volume: Volume, spec: VolumeSpec, session: Session) -> Located:
    """Finds C1..C7 in a scan.

    Args:
        volume: The scan, however it is oriented.
        spec: What the network is fed.
        session: The network.

    Raises:
        PackageError: The network does not do what it should.
    """
    seen = look(volume, spec, session)
    located = locate_levels(seen.probabilities, seen.grid, seen.seen)
    if not located.vertebrae:
        return located
    seen = look_again(volume, seen, _middle_mm(located), spec, session)
    return locate_levels(seen.probabilities, seen.grid, seen.seen)


def _middle_mm(located: Located) -> Vector:
    """The middle of the box that holds all vertebrae that were found."""
    corners = np.array([corner for one in located.vertebrae for corner in (one.box_mm.low_mm, one.box_mm.high_mm)])
    x, y, z = (float(value) for value in (corners.min(axis=0) + corners.max(axis=0)) / 2)
    return x, y, z
