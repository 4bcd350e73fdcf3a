"""What a network wants to see, as a model package records it."""

from dataclasses import dataclass

from cspine.anatomy import CERVICAL
from cspine.errors import GeometryError
from cspine.geometry import Vector

OTHER_VERTEBRA_CLASS, OTHER_BONE_CLASS = len(CERVICAL) + 1, len(CERVICAL) + 2
"""What a localiser says of a voxel, after background and C1..C7."""

VOXEL_CLASSES = OTHER_BONE_CLASS + 1


@dataclass(frozen=True, slots=True)
class SliceSpec:
    """How a slice network sees a scan: upright axial slices around the middle of the neck.

    Attributes:
        spacing_mm: Distance of slices and of pixels, ``(z, y, x)``.
        size: Rows and columns of a slice.
        neighbours: Slices above and below that are fed as further channels.
        window_hu: Hounsfield units that become 0 and 1; what lies outside is clipped.
    """

    spacing_mm: Vector
    size: tuple[int, int]
    neighbours: int
    window_hu: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.window_hu
        if min(self.spacing_mm) <= 0 or min(self.size) < 1 or self.neighbours < 0 or low >= high:
            raise GeometryError(f"A slice specification needs positive spacing and size and a rising window. Received: {self}")

    @property
    def channels(self) -> int:
        """Number of slices in one input: the slice and its neighbours, feet to head."""
        return 2 * self.neighbours + 1


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """How a network that sees space sees a scan: upright windows of one size in millimetres.

    Attributes:
        spacing_mm: Distance of voxels, ``(z, y, x)``.
        size: Voxels of a window, ``(z, y, x)``.
        window_hu: Hounsfield units that become 0 and 1; what lies outside is clipped.
    """

    spacing_mm: Vector
    size: tuple[int, int, int]
    window_hu: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.window_hu
        if min(self.spacing_mm) <= 0 or min(self.size) < 1 or low >= high:
            raise GeometryError(f"A volume specification needs positive spacing and size and a rising window. Received: {self}")
