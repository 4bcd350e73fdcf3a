"""Keeps what a phantom was made of beside its files.

::

    truth/<uid>/truth.json          what is fractured, how, where; how it was scanned and stored
    truth/<uid>/labels.nii.gz       every voxel: 1..7 C1..C7, 8.. T1.., 20 other bone
    truth/<uid>/fractures.nii.gz    the level of every voxel at a fracture

World coordinates are those of the DICOM files, LPS millimetres.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from cspine.anatomy import CERVICAL
from cspine.errors import OutputError, one_line
from cspine.storage.codec import decode_each
from cspine.storage.strict_json import read_json

FORMAT = 1


@dataclass(frozen=True, slots=True)
class BoxedSlice:
    """The box of one slice, in pixels, as ``train_bounding_boxes.csv`` tells it."""

    slice_number: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class StudyTruth:
    """Holds what the tables say about one study.

    Attributes:
        study_uid: The study.
        fractured: C1..C7.
        boxes: Its boxes.
    """

    study_uid: str
    fractured: tuple[bool, ...]
    boxes: tuple[BoxedSlice, ...]


def truth_text(truth: StudyTruth, facts: dict[str, Any]) -> str:
    """Returns the text of ``truth.json``; numbers are rounded, so that it reads well and does not depend on the last bit."""
    everything = {
        "format": FORMAT,
        "study_uid": truth.study_uid,
        "fractured": {level.name: broken for level, broken in zip(CERVICAL, truth.fractured, strict=True)},
        **facts,
        "boxes": [asdict(box) for box in truth.boxes],
    }
    return json.dumps(plain(everything), indent=1) + "\n"


def read_truth(folder: Path) -> StudyTruth:
    """Returns what a whole study's ``truth.json`` says.

    Raises:
        OutputError: It is damaged.
    """
    path = folder / "truth.json"
    try:
        stored = read_json(path)
        boxes = decode_each(BoxedSlice, stored["boxes"], "boxes")
        return StudyTruth(str(stored["study_uid"]), tuple(bool(stored["fractured"][level.name]) for level in CERVICAL), boxes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path} is damaged ({one_line(str(error))}). Remove {folder}, and the study will be made again."
        ) from error


def plain(value: Any) -> Any:
    """Returns dataclasses, arrays and enums as what JSON knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Enum) and not isinstance(value, str):
        return value.name
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, float):
        value = round(value, 5) if math.isfinite(value) else None  # JSON knows no infinity: no limit
    return value


def label_rows(truths: Sequence[StudyTruth]) -> Iterator[list[object]]:
    """Yields the rows of ``train.csv``."""
    yield ["StudyInstanceUID", "patient_overall", *(level.name for level in CERVICAL)]
    for truth in truths:
        yield [truth.study_uid, int(any(truth.fractured)), *map(int, truth.fractured)]


def box_rows(truths: Sequence[StudyTruth]) -> Iterator[list[object]]:
    """Yields the rows of ``train_bounding_boxes.csv``."""
    yield ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]
    for truth in truths:
        for box in truth.boxes:
            yield [truth.study_uid, box.x, box.y, box.width, box.height, box.slice_number]


def task_rows(truths: Sequence[StudyTruth]) -> Iterator[list[object]]:
    """Yields the rows of ``test.csv``."""
    yield ["row_id", "StudyInstanceUID", "prediction_type"]
    for truth in truths:
        for kind in (*(level.name for level in CERVICAL), "patient_overall"):
            yield [f"{truth.study_uid}_{kind}", truth.study_uid, kind]


def submission_rows(truths: Sequence[StudyTruth]) -> Iterator[list[object]]:
    """Yields the rows of ``sample_submission.csv``."""
    yield ["row_id", "fractured"]
    for row in list(task_rows(truths))[1:]:
        yield [row[0], 0.5]
