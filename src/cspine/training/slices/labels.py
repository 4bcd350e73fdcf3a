"""Derives what each slice shows from what is known about its study: the honest protocol.

The label of a slice for a level is the label of the study for that level, times how much of the level is visible in the
slice. Where the study has boxes, a slice of a fractured level counts as fractured where a box is on the level, and only there; in
a phantom, where its fracture is.
What is not known stays unknown: a study without boxes is not a study without fractures, and a fractured level of a study
without a mask has no slices that could be named.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, UNKNOWN
from cspine.training.core.settings import AnnotationUse
from cspine.training.slices.settings import LabelSettings, Target

_FEWEST_PIXELS = 6
"""Fewer pixels on a fracture than these are none to be seen."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceTargets:
    """Holds what the slices of a study show.

    Attributes:
        fracture: How far C1..C7 are seen broken, 0..1 or :data:`UNKNOWN`, ``(n, 7)``.
        visible: How much of C1..C7 is in the slice, 0..1 or :data:`UNKNOWN`, ``(n, 7)``.
    """

    fracture: NDArray[np.float32]
    visible: NDArray[np.float32]


def visible_share(levels: NDArray[np.uint8], full_from: float) -> NDArray[np.float32]:
    """Returns how much of C1..C7 is in each slice, ``(n, 7)``: its area over its largest, 1 from ``full_from`` on.

    Args:
        levels: Level of each pixel, ``(n, rows, columns)``.
        full_from: Share of the largest area that counts as all.
    """
    flat = levels.reshape(len(levels), -1)
    area = np.stack([np.count_nonzero(flat == level, axis=1) for level in CERVICAL], axis=1)
    largest = np.maximum(area.max(axis=0), 1)
    return np.minimum(area / (full_from * largest), 1).astype(np.float32)


def slice_targets(
    fractured: Sequence[bool],
    marks: NDArray[np.uint8],
    *,
    has_mask: bool,
    has_boxes: bool,
    settings: LabelSettings,
    has_fracture_mask: bool = False,
) -> SliceTargets:
    """Returns what the slices of a study show.

    Args:
        fractured: C1..C7, the label of the study.
        marks: Level of each pixel, plus :data:`BOX_BIT` in a box and :data:`FRACTURE_BIT` on a fracture, ``(n, rows, columns)``.
        has_mask: Whether the levels are known.
        has_boxes: Whether the boxes are known.
        settings: The protocol.
        has_fracture_mask: Whether the fractures themselves are known, as of a phantom; then they tell, not the boxes.
    """
    broken = np.asarray(fractured, dtype=bool)
    boxes_count = has_boxes and settings.boxes is AnnotationUse.LABEL
    levels: NDArray[np.uint8] = marks % BOX_BIT
    boxed = (marks & BOX_BIT) > 0
    if settings.target is Target.VISIBLE:
        seen = visible_share(levels, settings.full_from) if has_mask else np.full((len(marks), len(broken)), UNKNOWN, np.float32)
        return SliceTargets(seen, seen)
    if not has_mask:
        unknown = np.full((len(marks), len(broken)), UNKNOWN, dtype=np.float32)
        on_box = np.array([slice_.any() for slice_ in boxed]) if boxes_count else None
        return SliceTargets(_without_mask(broken, on_box, len(marks)), unknown)
    visible = visible_share(levels, settings.full_from)
    if has_fracture_mask and settings.fracture_masks is AnnotationUse.LABEL:
        cracked = np.where(marks & FRACTURE_BIT, levels, 0).reshape(len(marks), -1)
        shown = np.stack([np.count_nonzero(cracked == level, axis=1) >= _FEWEST_PIXELS for level in CERVICAL], axis=1)
        return SliceTargets((shown & broken).astype(np.float32), visible)
    if boxes_count:
        hit = np.stack([np.any((levels == level) & boxed, axis=(1, 2)) for level in CERVICAL], axis=1)
        return SliceTargets((hit & broken).astype(np.float32), visible)
    return SliceTargets(np.where(broken, visible, 0).astype(np.float32), visible)


def _without_mask(broken: NDArray[np.bool_], boxed: NDArray[np.bool_] | None, count: int) -> NDArray[np.float32]:
    """Returns labels of slices: intact levels are intact in all; a fractured one is known only where boxes tell, if alone."""
    fracture = np.zeros((count, len(broken)), dtype=np.float32)
    fracture[:, broken] = UNKNOWN
    if boxed is not None:
        fracture[np.ix_(~boxed, broken)] = 0
        if np.count_nonzero(broken) == 1:
            fracture[np.ix_(boxed, broken)] = 1
    return fracture
