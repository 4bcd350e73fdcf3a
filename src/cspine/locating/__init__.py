"""Which vertebra is which: from what a localiser says of each voxel to C1..C7 in their order along the spine."""

from cspine.locating.levels import Located, Vertebra, locate_levels
from cspine.locating.localiser import Localiser
from cspine.locating.looking import look
from cspine.runtime import Session
from cspine.specs import VolumeSpec
from cspine.volume import Volume

__all__ = ["Localiser", "Located", "Vertebra", "locate", "locate_levels", "look"]


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
    return locate_levels(seen.probabilities, seen.grid, seen.seen)
