"""Upright slices of a scan for people: a bone window, patient's right on the left, square millimetres however it was stored."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.results import LevelFinding, StudyResult
from cspine.study import Study
from cspine.volume import AIR_HU, Volume

BONE_WINDOW_HU = (-500.0, 1300.0)

_FINEST_MM = 0.4
_ABOVE_AND_BELOW_MM = 25.0
_DEPTH_MM = 150.0
_AXIAL_MM = 130.0
_UPRIGHT = 0.7
"""Cosine of the steepest tilt of images that still lie along an axis."""

_STRAIGHT = 0.9994
"""Cosine of 2 degrees: 1.5 mm at the edge of the picture of a level."""


class AnatomicalPlane(StrEnum):
    """Describes how a slice lies in the patient."""

    AXIAL = "axial"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"

    @property
    def axes(self) -> tuple[int, int]:
        """Returns which of x, y and z runs across a slice, and which up and down."""
        return {AnatomicalPlane.AXIAL: (0, 1), AnatomicalPlane.SAGITTAL: (1, 2), AnatomicalPlane.CORONAL: (0, 2)}[self]

    @property
    def normal(self) -> int:
        """Returns which of x, y and z a slice stands on."""
        return 3 - sum(self.axes)


@dataclass(frozen=True, slots=True, eq=False)
class SliceView:
    """A slice as it is shown.

    Attributes:
        hu: Rows and columns, the first row on top.
        extent_mm: World coordinates of the outer edges: left, right, bottom, top.
    """

    hu: NDArray[np.float32]
    extent_mm: tuple[float, float, float, float]

    @property
    def shape(self) -> float:
        """Returns the width by height."""
        left, right, bottom, top = self.extent_mm
        return abs(right - left) / abs(top - bottom)


def sagittal_view(study: Study, result: StudyResult) -> SliceView:
    """Returns the middle of the spine from the side, front on the left: the part around the levels in view, or the whole scan."""
    centres = [finding.centre_mm for finding in result.levels if finding.centre_mm is not None]
    box = study.volume.grid.corners_mm()
    low, high = box.min(axis=0), box.max(axis=0)
    if centres:
        x, y, _ = np.median(np.asarray(centres), axis=0)
        bottom, top = _heights(result)
        low = np.maximum(low, (x, y - _DEPTH_MM / 2, bottom - _ABOVE_AND_BELOW_MM))
        high = np.minimum(high, (x, y + _DEPTH_MM / 2, top + _ABOVE_AND_BELOW_MM))
    else:
        x = (low[0] + high[0]) / 2
    hu = _slab(study.volume, (x, low[1], low[2]), (x, high[1], high[2]))[:, :, 0]
    return SliceView(hu[::-1], (float(low[1]), float(high[1]), float(low[2]), float(high[2])))


def axial_view(study: Study, finding: LevelFinding | None = None) -> SliceView:
    """Returns a level from below at its key height, patient's right on the left; without a level the middle of the whole scan."""
    box = study.volume.grid.corners_mm()
    low, high = box.min(axis=0), box.max(axis=0)
    z = (low[2] + high[2]) / 2
    if finding is not None and finding.centre_mm is not None:
        x, y, _ = finding.centre_mm
        z = key_height_mm(study, finding)
        low = np.maximum(low, (x - _AXIAL_MM / 2, y - _AXIAL_MM / 2, z))
        high = np.minimum(high, (x + _AXIAL_MM / 2, y + _AXIAL_MM / 2, z))
    hu = _slab(study.volume, (low[0], low[1], z), (high[0], high[1], z))[0]
    return SliceView(hu, (float(low[0]), float(high[0]), float(high[1]), float(low[1])))


def key_height_mm(study: Study, finding: LevelFinding) -> float:
    """Returns the world z to look at first: of the key image at the centre of a level, or of its box where images are not axial."""
    if finding.centre_mm is None:
        raise ValueError(f"A height needs a level with a centre. Received: {finding}")
    if finding.key_slice is not None and stored_as(study) is AnatomicalPlane.AXIAL:
        return key_point_mm(study, finding)[2]
    box = finding.box_mm
    return finding.centre_mm[2] if box is None else (box.low_mm[2] + box.high_mm[2]) / 2


def key_point_mm(study: Study, finding: LevelFinding) -> Vector:
    """Returns where the key image of a level passes its centre, straight along the axis of the patient that it stands on."""
    plane = stored_as(study)
    if finding.centre_mm is None or finding.key_slice is None or plane is None:
        raise ValueError(f"A point needs a level with a centre and a key image, and images along an axis. Received: {finding}")
    across = plane.normal
    normal, grid, index = _normal(study), study.volume.grid, finding.key_slice.index
    first = study.sources[index].position_mm if study.sources else grid.world((index, 0, 0))
    point = list(finding.centre_mm)
    point[across] += float(np.subtract(first, finding.centre_mm) @ normal) / float(normal[across])
    return point[0], point[1], point[2]


def stored_as(study: Study) -> AnatomicalPlane | None:
    """Returns how the stored images lie, tilted by less than 45 degrees; ``None`` where they lie between."""
    normal = np.abs(_normal(study))
    found = next(plane for plane in AnatomicalPlane if plane.normal == int(np.argmax(normal)))
    return found if normal.max() > _UPRIGHT else None


def is_upright(study: Study) -> bool:
    """Says whether the stored images stand so straight that an upright slice shows one of them, and not a part of several."""
    return bool(np.abs(_normal(study)).max() > _STRAIGHT)


def _normal(study: Study) -> NDArray[np.float64]:
    directions = study.volume.grid.directions
    return np.cross(directions[:, 1], directions[:, 2])


def section(
    volume: Volume, plane: AnatomicalPlane, centre_mm: ArrayLike, size_mm: tuple[float, float], fill: float = AIR_HU
) -> SliceView:
    """Returns an upright slice around a point, as wide and high as asked for.

    Args:
        volume: What is cut.
        plane: How the slice lies.
        centre_mm: World coordinates ``(x, y, z)`` of its middle.
        size_mm: Width and height.
        fill: The value outside the volume.
    """
    across, along = plane.axes
    half = np.zeros(3)
    half[[across, along]] = np.asarray(size_mm) / 2
    low, high = np.asarray(centre_mm, dtype=np.float64) - half, np.asarray(centre_mm, dtype=np.float64) + half
    hu = _slab(volume, low, high, fill).squeeze(axis=2 - plane.normal)
    left, right, below, above = (float(edge) for edge in (low[across], high[across], low[along], high[along]))
    if plane is AnatomicalPlane.AXIAL:
        return SliceView(hu, (left, right, above, below))
    return SliceView(hu[::-1], (left, right, below, above))


def _heights(result: StudyResult) -> tuple[float, float]:
    boxes = [finding.box_mm for finding in result.levels if finding.box_mm is not None]
    centres = [finding.centre_mm[2] for finding in result.levels if finding.centre_mm is not None]
    return min([box.low_mm[2] for box in boxes] + centres), max([box.high_mm[2] for box in boxes] + centres)


def _slab(volume: Volume, low_mm: ArrayLike, high_mm: ArrayLike, fill: float = AIR_HU) -> NDArray[np.float32]:
    """Returns upright voxels between two corners; a direction without length gets one voxel."""
    step = max(_FINEST_MM, min(volume.grid.spacing_mm))
    extent = np.asarray(high_mm) - np.asarray(low_mm)
    x, y, z = (max(1, round(float(length) / step)) for length in extent)
    steps = [float(e) / n if n > 1 else step for e, n in zip(extent, (x, y, z), strict=True)]
    grid = Grid.upright((np.asarray(low_mm) + np.asarray(high_mm)) / 2, (z, y, x), (steps[2], steps[1], steps[0]))
    return sample(volume, grid, fill).hu
