"""What a trained network says about whole studies, pooled as the service pools it."""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.evaluation import StudyScores
from cspine.evaluation.metrics import auroc
from cspine.modelpack import pool_slices
from cspine.specs import SliceSpec
from cspine.training.slices.labels import SliceTargets
from cspine.training.slices.stacks import Stack

SliceOutputs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Fracture and visibility of C1..C7 by slice, ``(n, 7)`` each."""

_BATCH = 32
_SHOWN, _BROKEN = 0.25, 0.5
"""From which target on a slice shows a level, and a fracture of it."""


def slice_outputs(model: keras.Model, stack: Stack, spec: SliceSpec) -> SliceOutputs:
    """Fracture and visibility of C1..C7 by slice, ``(n, 7)`` each."""
    found = padded_outputs(model, stack, spec, ("fracture", "visible"))
    return found["fracture"], found["visible"]


def padded_outputs(model: keras.Model, stack: Stack, spec: SliceSpec, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Some outputs for all slices of a study, by name, one entry per slice."""
    count = len(stack.hu)
    parts = [_answer(model, stack.input(spec, begin, min(begin + _BATCH, count)), names) for begin in range(0, count, _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def fracture_of(model: keras.Model, stack: Stack, spec: SliceSpec, numbers: Sequence[int]) -> NDArray[np.float32]:
    """Fracture of C1..C7 in some slices of a study, ``(n, 7)``."""
    parts = []
    for begin in range(0, len(numbers), _BATCH):
        images = [stack.input(spec, number, number + 1) for number in numbers[begin : begin + _BATCH]]
        parts.append(_answer(model, np.concatenate(images), ("fracture",))["fracture"])
    return np.concatenate(parts)


def levels_output(model: keras.Model) -> str:
    """Which output of a network says where the levels are: ``maps`` by pixel, else ``where`` by cell."""
    return "maps" if "maps" in model.output else "level_map"


def seen_levels(outputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Level of each pixel or cell as a network sees it, ``(n, rows, columns)``, each level only in its place along the neck."""
    levels = np.argmax(outputs["maps" if "maps" in outputs else "level_map"], axis=-1).astype(np.uint8)
    pooled = pool_slices(outputs["fracture"], outputs["visible"])
    height = np.arange(len(levels))
    for level in CERVICAL:
        i = level - 1
        there = pooled.in_view[i] & (height >= pooled.first_slice[i]) & (height <= pooled.last_slice[i])
        levels[(levels == level) & ~there[:, None, None]] = 0
    return levels


def _answer(model: keras.Model, images: NDArray[np.float32], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Some outputs for at most ``_BATCH`` slices."""
    padded = np.pad(images, ((0, _BATCH - len(images)), (0, 0), (0, 0), (0, 0)))  # one shape, one trace of the network
    output = model.predict_on_batch(padded)
    return {name: np.asarray(output[name])[: len(images)] for name in names}


def all_slice_outputs(
    model: keras.Model, stacks: Sequence[Stack], spec: SliceSpec, tell: Callable[[str], None] = lambda _: None
) -> list[SliceOutputs]:
    """What :func:`slice_outputs` gives, for some studies."""
    found = []
    for number, stack in enumerate(stacks, 1):
        tell(f"judging study {number} of {len(stacks)}")
        found.append(slice_outputs(model, stack, spec))
    return found


def study_scores(stacks: Sequence[Stack], outputs: Sequence[SliceOutputs]) -> StudyScores:
    """Scores of labelled studies, overall and C1..C7, pooled from the outputs of their slices."""
    return StudyScores(
        study_uids=tuple(stack.case.study_uid for stack in stacks),
        truth=np.array([[any(stack.case.fractured or ()), *(stack.case.fractured or ())] for stack in stacks], dtype=bool),
        scores=np.array([pool_slices(*one).outputs for one in outputs]),
    )


def slice_auroc(targets: Sequence[SliceTargets], outputs: Sequence[SliceOutputs]) -> float:
    """AUROC of fractures over all slices that show a level, each level by itself; NaN where that is not known.

    There are hundreds of slices to a study, so it is a steadier guide than what few held-out studies say.
    """
    wanted = np.concatenate([target.fracture for target in targets])
    shown = np.concatenate([target.visible for target in targets]) >= _SHOWN
    said = np.concatenate([fracture for fracture, _ in outputs])
    counted = shown & (wanted >= 0)
    return auroc(wanted[counted] >= _BROKEN, said[counted].astype(np.float64))
