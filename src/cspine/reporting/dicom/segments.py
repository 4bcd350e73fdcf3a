"""The vertebrae of a label map as segments on the stored images."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import BACKGROUND, CERVICAL, Level
from cspine.imaging.planes import labels_on_images
from cspine.reporting.once import once_per_result
from cspine.study import Study
from cspine.volume import LabelMap

_STRIDE = 8
"""Pixels apart at which levels are looked for first: hardly any lies between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """C1..C7 as far as they are there.

    Attributes:
        levels: Those that some stored pixel shows; the number of a segment is its place here, from 1.
        places: The stored images that may show one, by their places in the scan, ``(n,)``; all others show none.
        numbers: Number of the segment of each of their pixels, 0 elsewhere, ``(n, rows, columns)``.
    """

    levels: tuple[Level, ...]
    places: NDArray[np.intp] = field(repr=False)
    numbers: NDArray[np.uint8] = field(repr=False)

    def number(self, level: Level) -> int | None:
        """Returns the number of a level's segment, if it has one."""
        return self.levels.index(level) + 1 if level in self.levels else None


@once_per_result
def segments_of(labels: LabelMap | None, study: Study) -> Segments:
    """Returns the segments of a scan. Vertebrae below C7 are left out: their number is not known."""
    if labels is None:
        return Segments((), np.zeros(0, np.intp), np.zeros((0, *study.volume.grid.shape[1:]), dtype=np.uint8))
    cervical = np.where(np.isin(labels.labels, CERVICAL), labels.labels, np.uint8(BACKGROUND))
    found = labels_on_images(LabelMap(cervical, labels.grid), study)
    seen = np.bincount(found.labels[:, ::_STRIDE, ::_STRIDE].ravel(), minlength=max(CERVICAL) + 1)
    levels = tuple(level for level in CERVICAL if seen[level] or any((image == level).any() for image in found.labels))
    numbers = found.labels
    if levels != CERVICAL[: len(levels)]:
        number_of = np.zeros(max(CERVICAL) + 1, dtype=np.uint8)
        number_of[list(levels)] = np.arange(1, len(levels) + 1)
        numbers = number_of[numbers]
    return Segments(levels, found.places, numbers)
