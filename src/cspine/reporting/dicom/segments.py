"""The vertebrae of a label map as segments on the stored images."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import BACKGROUND, CERVICAL, Level
from cspine.imaging.planes import labels_on_images
from cspine.reporting.once import once_per_result
from cspine.study import Study
from cspine.volume import LabelMap


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """C1..C7 as far as they are there.

    Attributes:
        levels: Those that some stored pixel shows; the number of a segment is its place here, from 1.
        numbers: Number of the segment of each stored pixel, 0 elsewhere, ``(images, rows, columns)``.
    """

    levels: tuple[Level, ...]
    numbers: NDArray[np.uint8] = field(repr=False)

    def number(self, level: Level) -> int | None:
        """Returns the number of a level's segment, if it has one."""
        return self.levels.index(level) + 1 if level in self.levels else None


@once_per_result
def segments_of(labels: LabelMap | None, study: Study) -> Segments:
    """Returns the segments of a scan. Vertebrae below C7 are left out: their number is not known."""
    if labels is None:
        return Segments((), np.zeros((0, *study.volume.grid.shape[1:]), dtype=np.uint8))
    cervical = np.where(np.isin(labels.labels, CERVICAL), labels.labels, np.uint8(BACKGROUND))
    numbers = labels_on_images(LabelMap(cervical, labels.grid), study)
    marked = numbers > BACKGROUND
    there = np.bincount(numbers[marked], minlength=max(CERVICAL) + 1)
    levels = tuple(level for level in CERVICAL if there[level])
    number_of = np.zeros(len(there), dtype=np.uint8)
    number_of[list(levels)] = np.arange(1, len(levels) + 1)
    numbers[marked] = number_of[numbers[marked]]
    return Segments(levels, numbers)
