"""Predicts whole studies with a trained slice network, pooled as the service pools, and localises suspected fractures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.anatomy import CERVICAL
from cspine.evaluation import StudyScores
from cspine.evaluation.localisation import NOT_A_LESION, StudyLocalisation
from cspine.evaluation.metrics import auroc
from cspine.modelpack import pool_slices
from cspine.networks.options import CELL
from cspine.specs import SliceSpec
from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, cell_levels, fracture_mask
from cspine.training.slices.stacks import SliceStack

SliceOutputs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Fracture and visibility of C1..C7 by slice, ``(n, 7)`` each."""

_BATCH = 32
_SHOWN, _FRACTURED = 0.25, 0.5
"""From which target on a slice shows a level, and a fracture of it."""

APART_MM = 10.0
"""Of two suspected places within this distance the weaker is not told."""

_FAINT = 0.02
_MOST = 10
_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)


def slice_outputs(model: keras.Model, stack: SliceStack, spec: SliceSpec, step: int = 1) -> SliceOutputs:
    """Returns fracture and visibility of C1..C7 by slice, ``(n, 7)`` each, of one slice in ``step``."""
    found = _outputs_of(model, stack, spec, range(0, len(stack.hu), step), ("fracture", "visible"))
    return found["fracture"], found["visible"]


def padded_outputs(model: keras.Model, stack: SliceStack, spec: SliceSpec, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Returns some outputs for all slices of a study, by name, one entry per slice."""
    return _outputs_of(model, stack, spec, range(len(stack.hu)), names)


def fracture_outputs(model: keras.Model, stack: SliceStack, spec: SliceSpec, numbers: Sequence[int]) -> NDArray[np.float32]:
    """Returns the fracture of C1..C7 in some slices of a study, ``(n, 7)``."""
    return _outputs_of(model, stack, spec, numbers, ("fracture",))["fracture"]


def levels_output(model: keras.Model) -> str:
    """Returns which output of a network is the map of levels: ``maps`` by pixel, else ``level_map`` by cell."""
    return "maps" if "maps" in model.output else "level_map"


def predicted_levels(outputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Returns the level of each pixel or cell as a network predicts it, each level only in its place along the neck."""
    levels = np.argmax(outputs["maps" if "maps" in outputs else "level_map"], axis=-1).astype(np.uint8)
    pooled = pool_slices(outputs["fracture"], outputs["visible"])
    height = np.arange(len(levels))
    for level in CERVICAL:
        i = level - 1
        there = pooled.in_view[i] & (height >= pooled.first_slice[i]) & (height <= pooled.last_slice[i])
        levels[(levels == level) & ~there[:, None, None]] = 0
    return levels


def _outputs_of(
    model: keras.Model, stack: SliceStack, spec: SliceSpec, numbers: Sequence[int], names: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Returns some outputs for some slices of a study, by name."""
    parts = []
    for begin in range(0, len(numbers), _BATCH):
        images = np.concatenate([stack.input(spec, number, number + 1) for number in numbers[begin : begin + _BATCH]])
        parts.append(_predict_padded(model, images, names))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _predict_padded(model: keras.Model, images: NDArray[np.float32], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Returns some outputs for at most ``_BATCH`` slices."""
    padded = np.pad(images, ((0, _BATCH - len(images)), (0, 0), (0, 0), (0, 0)))  # one shape, one trace of the network
    output = model.predict_on_batch(padded)
    return {name: np.asarray(output[name])[: len(images)] for name in names}


def all_slice_outputs(
    model: keras.Model,
    stacks: Sequence[SliceStack],
    spec: SliceSpec,
    step: int = 1,
    tell: Callable[[str], None] = lambda _: None,
) -> list[SliceOutputs]:
    """Returns what :func:`slice_outputs` gives, for some studies."""
    found = []
    for number, stack in enumerate(stacks, 1):
        tell(f"predicting study {number} of {len(stacks)}")
        found.append(slice_outputs(model, stack, spec, step))
    return found


def study_scores(stacks: Sequence[SliceStack], outputs: Sequence[SliceOutputs]) -> StudyScores:
    """Returns scores of labelled studies, overall and C1..C7, pooled from the outputs of their slices."""
    return StudyScores(
        study_uids=tuple(stack.case.study_uid for stack in stacks),
        truth=np.array([[any(stack.case.fractured or ()), *(stack.case.fractured or ())] for stack in stacks], dtype=bool),
        scores=np.array([pool_slices(*one).outputs for one in outputs]),
    )


def slice_auroc(fracture: NDArray[np.float32], visible: NDArray[np.float32], outputs: Sequence[SliceOutputs]) -> float:
    """Returns the AUROC of fractures over all slices that show a level, each level by itself; NaN where that is not known.

    There are hundreds of slices to a study, so it is a steadier guide than the scores of few held-out studies.

    Args:
        fracture: The targets of all slices, ``(n, 7)``.
        visible: How much of C1..C7 is in each, ``(n, 7)``.
        outputs: What the network says about them, study by study.
    """
    predicted = np.concatenate([one for one, _ in outputs])
    counted = (visible >= _SHOWN) & (fracture >= 0)
    return auroc(fracture[counted] >= _FRACTURED, predicted[counted].astype(np.float64))


def all_outputs(model: keras.Model, stack: SliceStack, spec: SliceSpec) -> dict[str, NDArray[np.float32]]:
    """Returns what a network says about a study, and where, by the name of its output."""
    names = {"fracture", "visible", levels_output(model), "fracture_map"} & set(model.output)
    return padded_outputs(model, stack, spec, sorted(names))


def localise_fractures(stack: SliceStack, outputs: Mapping[str, NDArray[np.float32]]) -> StudyLocalisation:
    """Returns where fractures are suspected and are, and how far the predicted levels cover those of the mask.

    A suspected place is a local maximum of the fracture map; it lies on a fracture if it is at most one cell away from it. A
    fracture is a connected body of marked cells: of boxes, or of the fracture mask of a phantom. A study that is fractured and has
    neither is not counted, and without a fracture map nothing is.

    Args:
        stack: The study.
        outputs: What :func:`all_outputs` gave.
    """
    dice = _dice(stack, outputs)
    marked = _marked(stack)
    if marked is None or "fracture_map" not in outputs:
        return StudyLocalisation(None, np.empty(0), np.empty(0, dtype=np.intp), dice)
    lesions, in_slices = ndimage.label(marked, structure=_EVERY_SIDE)
    count = max(in_slices, int(any(stack.case.fractured or ())))  # a fracture outside all slices is one that is not found
    suspicion = outputs["fracture_map"][..., 0].astype(np.float64)
    found = suspected_cells(suspicion, stack.grid.spacing_mm)
    reached = _reached(lesions)
    return StudyLocalisation(int(count), suspicion[tuple(found.T)], reached[tuple(found.T)], dice)


def suspected_cells(suspicion: NDArray[np.float64], spacing_mm: tuple[float, float, float]) -> NDArray[np.intp]:
    """Returns the strongest local maxima of a fracture map, :data:`APART_MM` apart, strongest first.

    Args:
        suspicion: By cell, ``(n, rows / 8, columns / 8)``.
        spacing_mm: Of the slices that the map lies on.

    Returns:
        Indices, ``(k, 3)``.
    """
    size_mm = np.array(spacing_mm) * (1, CELL, CELL)
    reach = np.floor(APART_MM / size_mm).astype(int)
    around = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1)
    near = np.linalg.norm(around * size_mm, axis=-1) <= APART_MM
    highest = ndimage.maximum_filter(suspicion, footprint=near, mode="constant")
    found = np.argwhere((suspicion == highest) & (suspicion > _FAINT))
    order = np.argsort(-suspicion[tuple(found.T)], kind="stable")[:_MOST]
    return found[order]


def _marked(stack: SliceStack) -> NDArray[np.bool_] | None:
    """Returns cells on a fracture, ``(n, rows / 8, columns / 8)``; ``None`` where it is not known."""
    case, marks = stack.case, np.asarray(stack.marks)
    if not any(case.fractured or (True,)):
        return _tiles(np.zeros_like(marks, dtype=bool))
    if fracture_mask(case) is not None:
        return _tiles((marks & FRACTURE_BIT) > 0)
    return _tiles((marks & BOX_BIT) > 0) if case.boxes else None


def _tiles(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    n, rows, columns = marked.shape
    tiles = marked.reshape(n, rows // CELL, CELL, columns // CELL, CELL)
    return np.asarray(tiles.any(axis=(2, 4)))


def _reached(lesions: NDArray[np.integer]) -> NDArray[np.intp]:
    """Returns the fracture at or beside each cell; :data:`NOT_A_LESION` where there is none."""
    beside = ndimage.grey_dilation(lesions, footprint=_EVERY_SIDE)
    number = np.where(lesions > 0, lesions, beside).astype(np.intp)
    return np.where(number > 0, number - 1, NOT_A_LESION)


def _dice(stack: SliceStack, outputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Returns the overlap of C1..C7 with the mask, by pixel or cell as predicted, ``(7,)``; NaN without a mask or the level."""
    if stack.case.mask is None:
        return np.full(len(CERVICAL), np.nan)
    predicted = predicted_levels(outputs)
    by_cell = predicted.shape[1:] != stack.marks.shape[1:]
    marks = np.asarray(stack.marks)
    there: NDArray[Any] = np.stack([np.argmax(cell_levels(one), axis=-1) for one in marks]) if by_cell else marks % BOX_BIT
    found = []
    for level in CERVICAL:
        both, all_there = np.count_nonzero((predicted == level) & (there == level)), np.count_nonzero(there == level)
        found.append(2 * both / (np.count_nonzero(predicted == level) + all_there) if all_there else np.nan)
    return np.array(found)
