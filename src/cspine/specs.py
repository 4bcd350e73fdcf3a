"""Describes the input of a network, as a model package records it."""

import math
from dataclasses import dataclass

from cspine.anatomy import CERVICAL
from cspine.errors import GeometryError
from cspine.geometry import Vector

OTHER_VERTEBRA_CLASS, OTHER_BONE_CLASS = len(CERVICAL) + 1, len(CERVICAL) + 2
"""What a localiser says of a voxel, after background and C1..C7."""

VOXEL_CLASSES = OTHER_BONE_CLASS + 1

MASK_STEP, FRACTURE_CELL = 2, 8
"""Pixels of a vertebra crop per pixel of its mask, and per cell of the map that says where it looks fractured: rows and columns."""


_SPACINGS_MM = (0.2, 20.0)
"""Voxels that a network may be fed: finer ones would make more of them than a machine holds, coarser ones show no vertebra."""

_FINEST_VOLUME_MM = 0.5
"""The same of networks that are fed all of a scan."""

_LONGEST = 1024
"""Voxels along a side of what a network is fed."""

_MOST_VALUES = 1 << 28
"""Numbers in one input of a network: a gigabyte. The largest that ships has 14 million."""

_WIDEST_BLUR_MM = 50.0

_HU = 100_000.0
"""Far beyond what any scanner writes."""


def _check_spacing(spacing_mm: Vector, window_hu: tuple[float, float], of: object, finest_mm: float = _SPACINGS_MM[0]) -> None:
    """Refuses what is not a number, too."""
    low, high = finest_mm, _SPACINGS_MM[1]
    bottom, top = window_hu
    if not all(low <= step <= high for step in spacing_mm) or not -_HU <= bottom < top <= _HU:
        raise GeometryError(
            f"The input of a network needs voxels of {low:g} to {high:g} mm and a rising window of Hounsfield units. Received: {of}"
        )


def _check_size(counts: tuple[int, ...], values: int, of: object) -> None:
    if not all(1 <= count <= _LONGEST for count in counts) or not 1 <= values <= _MOST_VALUES:
        raise GeometryError(
            f"The input of a network needs 1 to {_LONGEST} voxels along each side, and {_MOST_VALUES} numbers at most. "
            f"Received: {of}"
        )


def _check_blur(blur_mm: float, of: object) -> None:
    if not 0 <= blur_mm <= _WIDEST_BLUR_MM:
        raise GeometryError(f"A mask may be blurred by 0 to {_WIDEST_BLUR_MM:g} mm. Received: {of}")


@dataclass(frozen=True, slots=True)
class SliceSpec:
    """Describes how a slice network sees a scan: upright axial slices around the middle of the neck.

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
        _check_spacing(self.spacing_mm, self.window_hu, self)
        _check_size((*self.size, self.neighbours + 1), math.prod(self.size) * self.channels, self)

    @property
    def channels(self) -> int:
        """Returns the number of slices in one input: the slice and its neighbours, feet to head."""
        return 2 * self.neighbours + 1


HU_CEILING = 1.0
"""HU ceiling of the passes over a neck, as a share of the median density of its vertebrae, where a package says nothing else."""


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """Describes how a 3-D network sees a scan: upright windows of one size in millimetres.

    Attributes:
        spacing_mm: Distance of voxels, ``(z, y, x)``.
        size: Voxels of a window, ``(z, y, x)``.
        window_hu: Hounsfield units that become 0 and 1; what lies outside is clipped.
    """

    spacing_mm: Vector
    size: tuple[int, int, int]
    window_hu: tuple[float, float]

    def __post_init__(self) -> None:
        _check_spacing(self.spacing_mm, self.window_hu, self, finest_mm=_FINEST_VOLUME_MM)
        _check_size(self.size, math.prod(self.size) * self.channels, self)

    @property
    def channels(self) -> int:
        """Returns the values of a voxel that are fed: the picture's."""
        return 1

    @property
    def classes(self) -> int:
        """Returns what a voxel may be: background, C1..C7, other vertebra, other bone."""
        return VOXEL_CLASSES

    @property
    def output(self) -> str:
        """Returns the name of the network's output."""
        return "levels"


@dataclass(frozen=True, slots=True)
class RefinerSpec(VolumeSpec):
    """Describes how a refiner sees a scan: an upright crop around one vertebra, and where it roughly lies.

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
        _check_blur(self.guide_blur_mm, self)
        if self.guide_step < 1 or any(side % self.guide_step for side in self.size):
            raise GeometryError(f"A guide needs a step that divides the sides of a crop. Received: {self}")

    @property
    def channels(self) -> int:
        """Returns the values of a voxel that are fed: the picture's, this vertebra's, all others'."""
        return 3

    @property
    def classes(self) -> int:
        """Returns what a voxel may be: background, this vertebra, other bone."""
        return 3

    @property
    def output(self) -> str:
        """Returns the name of the network's output."""
        return "vertebra"


@dataclass(frozen=True, slots=True)
class VertebraSpec:
    """Describes how a vertebra classifier sees a scan: slices across the spine at each of C1..C7.

    A study ``(n, 7, slices, rows, columns, channels)`` holds, for each level, slices from feet to head, spread over its height: the
    slice and its neighbours, windowed to 0..1, and where the vertebra is, smoothed
    (:func:`cspine.imaging.vertebrae.vertebra_input`). Nothing but zeros is a level that is not in the scan.

    Attributes:
        spacing_mm: Distance of slices that are cut, and of pixels, ``(z, y, x)``.
        depth: How many slices are cut.
        size: Rows and columns of a slice.
        slices: How many of those that are cut are classified, evenly over the height of the vertebra.
        neighbours: Slices above and below a classified one that are fed as further channels.
        window_hu: Hounsfield units that become 0 and 1; what lies outside is clipped.
        mask_blur_mm: Standard deviation by which the mask of the vertebra is smoothed: how far its border may be off.
        masked: Whether the mask is fed; without it that channel says only that the level is in the scan.
        margin_mm: What is classified beyond the height of the vertebra, half of it at either end.
        neighbour_weight: How much cells next to those of the vertebra count as its own, 0..1: a fragment may lie outside its
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
        _check_spacing(self.spacing_mm, self.window_hu, self)
        _check_size((self.depth, *self.size, self.slices, self.neighbours + 1), math.prod(self.shape), self)
        _check_blur(self.mask_blur_mm, self)
        if not 0 <= self.margin_mm <= _WIDEST_BLUR_MM or not 0 <= self.neighbour_weight <= 1:
            raise GeometryError(
                f"A vertebra specification needs a margin of 0 to {_WIDEST_BLUR_MM:g} mm and a neighbour weight in 0..1. "
                f"Received: {self}"
            )
        if self.depth < self.slices + 2 * self.neighbours or any(side % FRACTURE_CELL for side in self.size):
            raise GeometryError(
                f"A vertebra specification cuts all slices and neighbours that it needs, with rows and columns in multiples of "
                f"{FRACTURE_CELL}. Received: {self}"
            )

    @property
    def channels(self) -> int:
        """Returns the values of a pixel that are fed: of the slice and its neighbours, feet to head, and of the mask."""
        return 2 * self.neighbours + 2

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Returns the shape of the crops of one study, ``(7, slices, rows, columns, channels)``."""
        return len(CERVICAL), self.slices, *self.size, self.channels
