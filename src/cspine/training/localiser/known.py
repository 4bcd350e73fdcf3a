"""What is not known of a voxel: two values beyond the classes of the network.

A mask of a reader names vertebrae and nothing else: what is as dense as bone outside of it may be skull, rib, a vertebra that was
not outlined, or a vessel with contrast.
"""

import numpy as np
from numpy.typing import NDArray

from cspine.specs import OTHER_BONE_CLASS, OTHER_VERTEBRA_CLASS

UNKNOWN_CLASS = 255
"""A voxel that may be anything."""

UNNAMED_CLASS = 254
"""A voxel that is none of C1..C7: background, another vertebra or other bone."""

UNNAMED = (0, OTHER_VERTEBRA_CLASS, OTHER_BONE_CLASS)
"""The classes that it may have."""

UNKNOWN_TARGET, UNNAMED_TARGET = -1.0, -2.0
"""What a loss is told instead; losses leave out targets below 0, or know what to do with them."""


def targets_of(classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Classes as a loss takes them."""
    return classes.view(np.int8).astype(np.float32)
