"""What a network wants to see, as a model package records it."""

from dataclasses import dataclass

from cspine.anatomy import CERVICAL
from cspine.errors import GeometryError
from cspine.geometry import Vector

OTHER_VERTEBRA_CLASS, OTHER_BONE_CLASS = len(CERVICAL) + 1, len(CERVICAL) + 2
"""What a localiser says of a voxel, after background and C1..C7."""

VOXEL_CLASSES = OTHER_BONE_CLASS + 1

MASK_STEP, FRACTURE_CELL = 2, 8
"""Pixels of a vertebra crop per pixel of its mask, and per cell of the map that says where it looks broken: rows and columns."""


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


HU_CEILING = 0.6
"""HU ceiling of the passes over a neck, as a share of the median density of its vertebrae, where a package says nothing else."""


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


@dataclass(frozen=True, slots=True)
class VertebraSpec:
    """How a network that judges vertebra by vertebra sees a scan: slices across the spine at each of C1..C7.

    A study ``(n, 7, slices, rows, columns, channels)`` holds, for each level, slices from feet to head, spread over its height: the
    slice and its neighbours, windowed to 0..1, and where the vertebra is, smoothed
    (:func:`cspine.imaging.vertebrae.vertebra_input`). Nothing but zeros is a level that is not in the scan.

    Attributes:
        spacing_mm: Distance of slices that are cut, and of pixels, ``(z, y, x)``.
        depth: How many slices are cut.
        size: Rows and columns of a slice.
        slices: How many of those that are cut are judged, evenly over the height of the vertebra.
        neighbours: Slices above and below a judged one that are fed as further channels.
        window_hu: Hounsfield units that become 0 and 1; what lies outside is clipped.
        mask_blur_mm: Standard deviation by which the mask of the vertebra is smoothed: how far its border may be off.
        masked: Whether the mask is fed; without it that channel says only that the level is in the scan.
        margin_mm: What is judged beyond the height of the vertebra, half of it at either end.
        neighbour_weight: How much cells next to those of the vertebra count as its own, 0..1: a broken piece may lie outside its
            outline.
    """

    spacing_mm: Vector
    depth: int
    size: tuple[int, int]
    slices: int
    neighbours: int
    window_hu: tuple[float, float]
    mask_blur_mm: float = 2.0
    masked: bool = True
    margin_mm: float = 3.0
    neighbour_weight: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.window_hu
        counts = min(self.slices, self.depth, *self.size)
        if min(self.spacing_mm) <= 0 or counts < 1 or min(self.neighbours, self.mask_blur_mm) < 0 or low >= high:
            raise GeometryError(f"A vertebra specification needs positive spacing and sizes and a rising window. Received: {self}")
        if self.margin_mm < 0 or not 0 <= self.neighbour_weight <= 1:
            raise GeometryError(
                f"A vertebra specification needs a margin of 0 or more and a neighbour weight in 0..1. Received: {self}"
            )
        if self.depth < self.slices + 2 * self.neighbours or any(side % FRACTURE_CELL for side in self.size):
            raise GeometryError(
                f"A vertebra specification cuts all slices and neighbours that it judges, with rows and columns in multiples of "
                f"{FRACTURE_CELL}. Received: {self}"
            )

    @property
    def channels(self) -> int:
        """Values of a pixel that are fed: of the slice and its neighbours, feet to head, and of the mask."""
        return 2 * self.neighbours + 2

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Of the crops of one study, ``(7, slices, rows, columns, channels)``."""
        return len(CERVICAL), self.slices, *self.size, self.channels
