"""What a teacher says of a study without a mask, kept on disk: the levels of its pixels, or why nobody may learn from them."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cspine.array_files import map_array
from cspine.codec import decode_each
from cspine.errors import OutputError
from cspine.files import replacing_file, write_text
from cspine.results import Reason
from cspine.strict_json import read_json
from cspine.training.slices.stacks import Stack


@dataclass(frozen=True, slots=True, eq=False)
class Marking:
    """What a teacher says of a study.

    Attributes:
        levels: Level of each pixel, ``(n, rows, columns)``.
        doubts: Why the levels must not be learnt from; nothing if they may.
    """

    levels: NDArray[np.uint8] = field(repr=False)
    doubts: tuple[Reason, ...] = ()


class Marker(Protocol):
    """Marks the levels in studies."""

    @property
    def name(self) -> str:
        """A digest of all that its marks follow from, but for the study."""
        ...

    def mark(self, stack: Stack) -> Marking:
        """Marks a study.

        Raises:
            InputError: It cannot be read, or a network does not do what it should.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """A study that a teacher has seen.

    Attributes:
        stack: With a mask, if there is nothing against it; otherwise as it was.
        doubts: What is against it.
    """

    stack: Stack
    doubts: tuple[Reason, ...]


def marked(stack: Stack, marker: Marker, folder: Path) -> Marked:
    """A study with the marks of a teacher, from ``folder`` where it was marked before.

    Raises:
        OutputError: ``folder`` cannot be written.
        InputError: As :meth:`Marker.mark`.
    """
    seen = hashlib.sha256(np.ascontiguousarray(stack.hu).tobytes())
    seen.update(np.ascontiguousarray(stack.marks).tobytes())
    home = folder / marker.name[:16]
    path = home / f"{seen.hexdigest()[:32]}.npy"
    refused = path.with_suffix(".json")
    found = _kept(stack, path, refused)
    if found is None:
        _keep(marker.mark(stack), stack, path, refused)
        found = _kept(stack, path, refused)
    if found is None:
        raise OutputError(f"Masks of a teacher need a folder that keeps what is written. Received: {path.parent}. Choose another.")
    return found


def _kept(stack: Stack, path: Path, refused: Path) -> Marked | None:
    """What was kept; ``None``, and nothing kept any more, where it is not there or is damaged: then the study is marked again."""
    try:
        if refused.exists():
            return Marked(stack, decode_each(Reason, read_json(refused), "doubts"))
        marks = map_array(path)
        if marks.shape == stack.marks.shape and marks.dtype == stack.marks.dtype:
            return Marked(replace(stack, case=replace(stack.case, mask=path), marks=marks), ())
    except (OSError, ValueError):
        pass
    for damaged in (path, refused):
        with suppress(OSError):
            damaged.unlink()
    return None


def _keep(found: Marking, stack: Stack, path: Path, refused: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if found.doubts:
            write_text(refused, json.dumps([asdict(doubt) for doubt in found.doubts]))
        else:
            with replacing_file(path) as made:
                np.save(made, stack.marks | found.levels)
    except OSError as error:
        raise OutputError(f"Masks of a teacher need a folder that can be written. {path.parent}: {error.strerror}.") from error
