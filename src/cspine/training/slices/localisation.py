"""Where a network suspects fractures, against where boxes or the truth of a phantom say they are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL
from cspine.evaluation.localisation import NOT_A_LESION, StudyLocalisation
from cspine.networks.settings import WHERE_STRIDE
from cspine.training.slices.batches import cells
from cspine.training.slices.labels import BOX_BIT, FRACTURE_BIT
from cspine.training.slices.prediction import levels_output, padded_outputs, seen_levels
from cspine.training.slices.stacks import Stack, fracture_mask

if TYPE_CHECKING:
    import keras

    from cspine.specs import SliceSpec

APART_MM = 10.0
"""Of two suspected places within this distance the weaker is not told."""

_FAINT = 0.02
_MOST = 10
_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)


def all_outputs(model: "keras.Model", stack: Stack, spec: "SliceSpec") -> dict[str, NDArray[np.float32]]:
    """What a network says about a study, and where, by the name of its output."""
    names = {"fracture", "visible", levels_output(model), "fracture_map"} & set(model.output)
    return padded_outputs(model, stack, spec, sorted(names))


def study_places(stack: Stack, outputs: Mapping[str, NDArray[np.float32]]) -> StudyLocalisation:
    """Where fractures are suspected and are, and how far the levels seen cover those of the mask.

    A suspected place is a local maximum of the fracture map; it lies on a fracture if it is at most one cell away from it. A
    fracture is a connected body of marked cells: of boxes, or of the cracks of a phantom. A study that is fractured and has neither
    is not counted, and without a fracture map nothing is.

    Args:
        stack: The study.
        outputs: What :func:`all_outputs` gave.
    """
    dice = _dice(stack, outputs)
    marked = _marked(stack)
    if marked is None or "fracture_map" not in outputs:
        return StudyLocalisation(None, np.empty(0), np.empty(0, dtype=np.intp), dice)
    lesions, count = ndimage.label(marked, structure=_EVERY_SIDE)
    suspicion = outputs["fracture_map"][..., 0].astype(np.float64)
    found = suspected(suspicion, stack.grid.spacing_mm)
    reached = _reached(lesions)
    return StudyLocalisation(int(count), suspicion[tuple(found.T)], reached[tuple(found.T)], dice)


def suspected(suspicion: NDArray[np.float64], spacing_mm: tuple[float, float, float]) -> NDArray[np.intp]:
    """The strongest local maxima of a fracture map, :data:`APART_MM` apart, strongest first.

    Args:
        suspicion: By cell, ``(n, rows / 8, columns / 8)``.
        spacing_mm: Of the slices that the map lies on.

    Returns:
        Indices, ``(k, 3)``.
    """
    size_mm = np.array(spacing_mm) * (1, WHERE_STRIDE, WHERE_STRIDE)
    reach = np.floor(APART_MM / size_mm).astype(int)
    around = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1)
    near = np.linalg.norm(around * size_mm, axis=-1) <= APART_MM
    highest = ndimage.maximum_filter(suspicion, footprint=near, mode="constant")
    found = np.argwhere((suspicion == highest) & (suspicion > _FAINT))
    order = np.argsort(-suspicion[tuple(found.T)], kind="stable")[:_MOST]
    return found[order]


def _marked(stack: Stack) -> NDArray[np.bool_] | None:
    """Cells on a fracture, ``(n, rows / 8, columns / 8)``; ``None`` where it is not known."""
    case, marks = stack.case, np.asarray(stack.marks)
    if not any(case.fractured or (True,)):
        return _tiles(np.zeros_like(marks, dtype=bool))
    if fracture_mask(case) is not None:
        return _tiles((marks & FRACTURE_BIT) > 0)
    return _tiles((marks & BOX_BIT) > 0) if case.boxes else None


def _tiles(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    n, rows, columns = marked.shape
    tiles = marked.reshape(n, rows // WHERE_STRIDE, WHERE_STRIDE, columns // WHERE_STRIDE, WHERE_STRIDE)
    return np.asarray(tiles.any(axis=(2, 4)))


def _reached(lesions: NDArray[np.integer]) -> NDArray[np.intp]:
    """The fracture at or beside each cell; :data:`NOT_A_LESION` where there is none."""
    beside = ndimage.grey_dilation(lesions, footprint=_EVERY_SIDE)
    number = np.where(lesions > 0, lesions, beside).astype(np.intp)
    return np.where(number > 0, number - 1, NOT_A_LESION)


def _dice(stack: Stack, outputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Overlap of C1..C7 with the mask, by pixel or by cell as the network sees them, ``(7,)``; NaN without a mask or the level."""
    if stack.case.mask is None:
        return np.full(len(CERVICAL), np.nan)
    seen = seen_levels(outputs)
    by_cell = seen.shape[1:] != stack.marks.shape[1:]
    marks = np.asarray(stack.marks)
    there: NDArray[Any] = np.stack([np.argmax(cells(one), axis=-1) for one in marks]) if by_cell else marks % BOX_BIT
    found = []
    for level in CERVICAL:
        both, all_there = np.count_nonzero((seen == level) & (there == level)), np.count_nonzero(there == level)
        found.append(2 * both / (np.count_nonzero(seen == level) + all_there) if all_there else np.nan)
    return np.array(found)
