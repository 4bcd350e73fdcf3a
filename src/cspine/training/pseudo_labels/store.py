"""Pseudo-labels on disk: the levels of the pixels of a study as a teacher predicts them, or why these may not be trained on."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cspine.errors import OutputError
from cspine.results import Reason
from cspine.storage.array_files import map_array
from cspine.storage.codec import decode_each
from cspine.storage.files import replacing_file, write_text
from cspine.storage.strict_json import read_json
from cspine.training.slices.stacks import SliceStack


@dataclass(frozen=True, slots=True, eq=False)
class PseudoLabels:
    """Holds what a teacher predicts of a study.

    Attributes:
        levels: Level of each pixel, ``(n, rows, columns)``.
        doubts: Why the levels must not be used in training; nothing if they may.
    """

    levels: NDArray[np.uint8] = field(repr=False)
    doubts: tuple[Reason, ...] = ()


class Teacher(Protocol):
    """Predicts the levels in studies."""

    @property
    def name(self) -> str:
        """Returns a digest of all that its predictions follow from, but for the study."""
        ...

    def predict(self, stack: SliceStack) -> PseudoLabels:
        """Returns the levels of a study.

        Raises:
            InputError: It cannot be read, or a network does not do what it should.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LabelledStack:
    """A study that a teacher has predicted.

    Attributes:
        stack: With a mask, if there is nothing against it; otherwise as it was.
        doubts: What is against it.
    """

    stack: SliceStack
    doubts: tuple[Reason, ...]


def with_pseudo_labels(stack: SliceStack, teacher: Teacher, folder: Path) -> LabelledStack:
    """Returns a study with pseudo-labels, from ``folder`` where the teacher has predicted it before.

    Raises:
        OutputError: ``folder`` cannot be written.
        InputError: As :meth:`Teacher.predict`.
    """
    digest = hashlib.sha256(np.ascontiguousarray(stack.hu).tobytes())
    digest.update(np.ascontiguousarray(stack.marks).tobytes())
    path = folder / teacher.name[:16] / f"{digest.hexdigest()[:32]}.npy"
    refused = path.with_suffix(".json")
    found = _stored(stack, path, refused)
    if found is None:
        _store(teacher.predict(stack), stack, path, refused)
        found = _stored(stack, path, refused)
    if found is None:
        raise OutputError(f"Pseudo-labels need a folder that keeps what is written. Received: {path.parent}. Choose another.")
    return found


def _stored(stack: SliceStack, path: Path, refused: Path) -> LabelledStack | None:
    """Returns what was stored of a study; ``None``, and nothing stored any more, where nothing was or it is damaged."""
    try:
        if refused.exists():
            return LabelledStack(stack, decode_each(Reason, read_json(refused), "doubts"))
        marks = map_array(path)
        if marks.shape == stack.marks.shape and marks.dtype == stack.marks.dtype:
            return LabelledStack(replace(stack, case=replace(stack.case, mask=path), marks=marks), ())
    except (OSError, ValueError):
        pass
    for damaged in (path, refused):
        with suppress(OSError):
            damaged.unlink()
    return None


def _store(found: PseudoLabels, stack: SliceStack, path: Path, refused: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if found.doubts:
            write_text(refused, json.dumps([asdict(doubt) for doubt in found.doubts]))
            return
        with replacing_file(path) as made:
            np.save(made, stack.marks | found.levels)
    except OSError as error:
        raise OutputError(f"Pseudo-labels need a folder that can be written. {path.parent}: {error.strerror}.") from error
