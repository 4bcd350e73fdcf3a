"""What is known of each vertebra: whether it is broken, in which of its slices, and in which cells of these."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.specs import FRACTURE_CELL, MASK_STEP
from cspine.training.slices.labels import BOX_BIT, UNKNOWN

_FEWEST_PIXELS = 3
"""Fewer pixels of a mask on a fracture than these are none to be seen in a slice."""

_BROKEN_SHARE = 0.1
"""Share of a cell on a fracture from which on it is broken."""


@dataclass(frozen=True, slots=True, eq=False)
class VertebraTargets:
    """What slices of a vertebra show.

    Attributes:
        slices: 0, 1 or :data:`cspine.training.slices.labels.UNKNOWN`, ``(slices,)``.
        cells: The same of each cell, ``(slices, rows / 8, columns / 8)``.
        missed: Whether it is broken, and all of that lies outside what is cut: its label is not what these slices show.
    """

    slices: NDArray[np.float32]
    cells: NDArray[np.float32]
    missed: bool = False


def where_broken(marks: NDArray[np.uint8], level: int, bit: int | None, *, broken: bool) -> VertebraTargets:
    """What the slices of a vertebra show.

    Args:
        marks: Of the slices that are judged, ``(slices, rows / 2, columns / 2)``.
        level: The vertebra.
        bit: What marks its fracture: the bit of cracks, that of boxes on pixels of the vertebra, or ``None`` where that is not
            known.
        broken: Whether it is fractured; if not, nothing of it is.
    """
    side = FRACTURE_CELL // MASK_STEP
    count, rows, columns = marks.shape
    shape = (count, rows // side, side, columns // side, side)
    if not broken:
        return VertebraTargets(np.zeros(count, np.float32), np.zeros((count, shape[1], shape[3]), np.float32))
    if bit is None:
        return VertebraTargets(np.full(count, UNKNOWN, np.float32), np.full((count, shape[1], shape[3]), UNKNOWN, np.float32))
    marked = (marks & bit) > 0
    if bit == BOX_BIT:
        marked &= marks % BOX_BIT == level
    share = marked.reshape(shape).mean(axis=(2, 4))
    slices = marked.sum(axis=(1, 2)) >= _FEWEST_PIXELS
    return VertebraTargets(slices.astype(np.float32), (share >= _BROKEN_SHARE).astype(np.float32), missed=not marked.any())
