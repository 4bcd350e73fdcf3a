"""Says which levels of a scan may be fractured.

A misnamed or half-seen level would give a wrong truth, so a doubtful one stays as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.anatomy import CERVICAL, Level
from cspine.errors import StudyError
from cspine.locating import Located, Vertebra
from cspine.reading.hounsfield import fault_of
from cspine.results import LevelStatus
from cspine.volume import LabelMap, Volume

_SURE = 0.9
"""Of names that a localiser gives with such a confidence, 97 in 100 are right."""

_LEAST_AGREEMENT = 0.6
_USUAL_ML = dict(zip(CERVICAL, (14.5, 17.5, 10.0, 10.0, 11.5, 14.0, 13.5), strict=True))
"""Volumes of the vertebrae of phantoms within life."""

_ALIKE = (0.55, 1.8)
"""Of the median of the scan's vertebrae against the usual ones."""

_PITCH_MM = (9.0, 30.0)
_LEAST_DENSE, _DENSE_HU = 0.35, 130.0
_THICKEST_MM, _WIDEST_MM = 3.0, 1.5
"""Slices, and pixels; in coarser ones most fractures do not show."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Says which levels of a scan may be fractured.

    Attributes:
        sure: Those that may.
        doubts: Why others that are in view may not.
    """

    sure: tuple[Level, ...]
    doubts: Mapping[Level, str]


def check_scan(volume: Volume) -> None:
    """Refuses a scan that cannot show a fracture.

    Raises:
        StudyError: It is too coarse, or no CT.
    """
    _, pixels, slices = sorted(volume.grid.spacing_mm)
    if slices > _THICKEST_MM or pixels > _WIDEST_MM:
        raise StudyError(
            f"A scan for grafts needs slices of {_THICKEST_MM:g} mm and pixels of {_WIDEST_MM:g} mm at most."
            f" These are {slices:.2f} mm and {pixels:.2f} mm: give a finer reconstruction."
        )
    fault = fault_of(volume.hu)
    if fault is not None:
        raise StudyError(f"A scan for grafts needs Hounsfield units. Received values of which {fault.found}: give a CT.")
    directions = volume.grid.canonical().directions
    if abs(float(directions[:, 1] @ directions[:, 2])) > 1e-3:
        raise StudyError("A scan for grafts needs rows and columns at right angles. These are sheared: resample it first.")


def choose_levels(located: Located, mask: LabelMap, volume: Volume) -> Choice:
    """Returns the levels that are surely named and wholly seen.

    Args:
        located: The vertebrae, by a localiser or by a mask.
        mask: The same on the grid of the scan.
        volume: The scan.

    Raises:
        StudyError: The names are in doubt as a whole, or no level is sure.
    """
    if located.reasons:
        raise StudyError(f"The levels of a scan must be sure before one is broken. {located.reasons[0].text}")
    if not located.vertebrae:
        raise StudyError("A scan for grafts needs cervical vertebrae. None was found: give a scan of a neck, or --masks.")
    _check_order(located)
    view = _View(located, mask, volume)
    doubts = {one.level: doubt for one in located.vertebrae if (doubt := _doubt(one, view)) is not None}
    sure = tuple(one.level for one in located.vertebrae if one.level not in doubts)
    if not sure:
        reasons = "; ".join(f"{level.name} {doubt}" for level, doubt in doubts.items())
        raise StudyError(
            f"A scan for grafts needs one level at least that is surely named and wholly seen. It has none: {reasons}."
        )
    return Choice(sure, doubts)


def _check_order(located: Located) -> None:
    """Refuses vertebrae that do not follow one another from head to feet, each once and none left out."""
    levels = [one.level for one in located.vertebrae]
    heights = [one.centre_mm[2] for one in located.vertebrae]
    if levels != list(range(levels[0], levels[0] + len(levels))) or heights != sorted(heights, reverse=True):
        received = ", ".join(level.name for level in levels)
        raise StudyError(f"The levels of a scan must follow one another from head to feet. Received: {received}. Mend the masks.")


class _View:
    """Holds a scan with its vertebrae, and how large each is against the usual one and against the others.

    Attributes:
        located: The vertebrae.
        mask: The same on the grid of the scan.
        volume: The scan.
        boxes: What holds each level.
        ratios: Size of each level against that of the same level in others, in units of the median of the scan.
    """

    def __init__(self, located: Located, mask: LabelMap, volume: Volume) -> None:
        self.located, self.mask, self.volume = located, mask, volume
        self.boxes = dict(zip(CERVICAL, ndimage.find_objects(mask.labels, len(CERVICAL)), strict=True))
        ratios = {one.level: self._millilitres(one.level) / _USUAL_ML[one.level] for one in located.vertebrae}
        usual = float(np.median(list(ratios.values()))) or 1.0
        self.ratios = {level: ratio / usual for level, ratio in ratios.items()}

    def _millilitres(self, level: Level) -> float:
        box = self.boxes[level]
        voxels = 0 if box is None else np.count_nonzero(self.mask.labels[box] == level)
        return float(voxels * abs(np.linalg.det(self.mask.grid.affine[:3, :3])) / 1000)

    def pitches(self, one: Vertebra) -> list[float]:
        """Returns the distances to the neighbours that are there."""
        near = [self.located.vertebra(Level(one.level + step)) for step in (-1, 1) if one.level + step in CERVICAL]
        return [float(np.linalg.norm(np.subtract(one.centre_mm, other.centre_mm))) for other in near if other is not None]


def _doubt(one: Vertebra, view: _View) -> str | None:
    """Returns why a level may not be fractured; ``None`` where nothing speaks against it."""
    if one.status is not LevelStatus.ASSESSED:
        return "is not wholly seen or not surely named"
    if one.confidence < _SURE or one.agreement < _LEAST_AGREEMENT:
        return f"is named with a confidence of {min(one.confidence, one.agreement):.2f} only"
    if not all(_PITCH_MM[0] <= pitch <= _PITCH_MM[1] for pitch in view.pitches(one)):
        return "lies too near to the next, or too far from it"
    return _doubt_of_outline(one.level, view)


def _doubt_of_outline(level: Level, view: _View) -> str | None:
    box, labels = view.boxes[level], view.mask.labels
    if box is None:
        return "has no outline"
    if any(side.start == 0 or side.stop == count for side, count in zip(box, labels.shape, strict=True)):
        return "is cut by the edge of the scan"
    if not _ALIKE[0] <= view.ratios[level] <= _ALIKE[1]:
        return f"has {view.ratios[level]:.1f} times the size that the others let expect"
    if np.mean(view.volume.hu[box][labels[box] == level] > _DENSE_HU) < _LEAST_DENSE:
        return "is outlined where there is little bone"
    return None
