"""Which vertebra is which: from what a localiser says of each voxel to C1..C7 in their order along the spine."""

from cspine.locating.finding import locate
from cspine.locating.levels import Located, Vertebra, locate_levels
from cspine.locating.localiser import Localiser
from cspine.locating.looking import look

__all__ = ["Localiser", "Located", "Vertebra", "locate", "locate_levels", "look"]
