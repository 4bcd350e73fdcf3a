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

    @property
    def channels(self) -> int:
        """Values of a voxel that are fed: the picture's."""
        return 1

    @property
    def classes(self) -> int:
        """What a voxel may be: background, C1..C7, other vertebra, other bone."""
        return VOXEL_CLASSES

    @property
    def output(self) -> str:
        """The name of the network's output."""
        return "levels"


@dataclass(frozen=True, slots=True)
class RefinerSpec(VolumeSpec):
    """How a network that tells one vertebra from its neighbours sees a scan: an upright crop around it, and where it roughly lies.

    A crop ``(n, z, y, x, 3)`` holds the picture, windowed to 0..1; the vertebra, and all other vertebrae, as a coarse label map
    has them, smoothed (:func:`cspine.imaging.crops.crop_input`). The output ``vertebra``, ``(n, z, y, x, 3)``, says how likely
    each voxel is background, this vertebra, or other bone.

    Attributes:
        guide_step: Voxels of a crop per voxel of the coarse label map that guides, along each axis.
        guide_blur_mm: Standard deviation by which the coarse label map is smoothed.
    """

    guide_step: int = 2
    guide_blur_mm: float = 2.5

    def __post_init__(self) -> None:
        VolumeSpec.__post_init__(self)
        if self.guide_step < 1 or any(side % self.guide_step for side in self.size) or self.guide_blur_mm < 0:
            raise GeometryError(f"A guide needs a step that divides the sides of a crop, and a blur of 0 or more. Received: {self}")

    @property
    def channels(self) -> int:
        """Values of a voxel that are fed: the picture's, this vertebra's, all others'."""
        return 3

    @property
    def classes(self) -> int:
        """What a voxel may be: background, this vertebra, other bone."""
        return 3

    @property
    def output(self) -> str:
        """The name of the network's output."""
        return "vertebra"
