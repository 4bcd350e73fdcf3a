"""Necks of :mod:`tests.coded` as studies of a data set folder, which the coded localiser finds."""

from pathlib import Path

import numpy as np

from cspine.anatomy import CERVICAL, Level
from cspine.datasets import Case, SliceBox
from cspine.training.core.marks import BOX_BIT
from cspine.training.slices.stacks import SliceStack
from tests.coded import coded_volume, shade_hu


def neck(number: int, broken: Level | None, *, mask: bool) -> SliceStack:
    """Writes a coded neck; a box is on one slice of what is broken."""
    volume = coded_volume(fractured=[broken] if broken else [], spacing_mm=(3.0, 2.5, 2.5))
    marks = np.zeros(volume.hu.shape, np.uint8)
    for level in CERVICAL:
        marks[volume.hu == shade_hu(level)] = level
    if broken:
        middle = int(np.median(np.nonzero(marks == broken)[0]))
        marks[middle][marks[middle] == broken] |= BOX_BIT
    case = Case(
        study_uid=f"1.2.{number}",
        images=Path(),
        fractured=tuple(level is broken for level in CERVICAL),
        boxes=(SliceBox(1, 0, 0, 1, 1),) * bool(broken),
        mask=Path() if mask else None,
    )
    return SliceStack(case, np.rint(volume.hu).astype(np.int16), marks, volume.grid)
