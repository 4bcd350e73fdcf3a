"""Names vertebrae: turns the classes that a localiser gives to voxels into C1..C7, in their order along the spine."""

from cspine.locating.coarse_to_fine import locate
from cspine.locating.levels import locate_levels
from cspine.locating.localiser import Localiser
from cspine.locating.located import Located, Vertebra, Witness
from cspine.locating.sliding_window import predict_scan

__all__ = ["Localiser", "Located", "Vertebra", "Witness", "locate", "locate_levels", "predict_scan"]
