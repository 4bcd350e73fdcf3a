"""Studies as a slice network sees them, prepared once and kept on disk."""

import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case, box_in_world, load_mask, read_mask
from cspine.errors import OutputError
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.imaging.slices import network_input, slice_grid
from cspine.reading import read_study
from cspine.specs import SliceSpec
from cspine.study import Study
from cspine.training.labels import BOX_BIT, CRACK_BIT
from cspine.volume import Volume

_FORMAT = 2
_FACTS, _HU, _MARKS = "facts.json", "hu.npy", "marks.npy"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """One study on its slice grid.

    Attributes:
        case: The study.
        hu: Hounsfield units, rounded, ``(n, rows, columns)``; read from disk as they are needed.
        marks: Level of each pixel, plus :data:`cspine.training.labels.BOX_BIT` in a box and
            :data:`cspine.training.labels.CRACK_BIT` on a known fracture, ``(n, rows, columns)``.
        grid: Where the voxels lie.
    """

    case: Case
    hu: NDArray[np.int16] = field(repr=False)
    marks: NDArray[np.uint8] = field(repr=False)
    grid: Grid = field(repr=False)

    def input(self, spec: SliceSpec, first: int, last: int) -> NDArray[np.float32]:
        """Slices from ``first`` up to ``last``, as the network takes them, ``(last - first, rows, columns, channels)``."""
        low, high = max(first - spec.neighbours, 0), min(last + spec.neighbours, len(self.hu))
        shape = (high - low, *self.grid.shape[1:])
        part = Volume(self.hu[low:high].astype(np.float32), self.grid.part((low, 0, 0), shape))
        return network_input(part, spec, range(first - low, last - low))


def prepare(cases: Iterable[Case], spec: SliceSpec, cache: Path, tell: Callable[[str], None] = logger.info) -> list[Stack]:
    """The stacks of some studies, from ``cache`` where they were prepared before.

    Raises:
        InputError: A study, mask or box cannot be read.
        OutputError: ``cache`` cannot be written.
    """
    folder = cache / _digest({"format": _FORMAT, **asdict(spec)})
    stacks = []
    for number, case in enumerate(cases, 1):
        tell(f"preparing study {number}")
        home = folder / case.study_uid
        facts = _facts(case)
        if not _is_fresh(home, facts):
            _prepare(case, spec, home, facts)
        stacks.append(_load(case, home))
    return stacks


def crack_mask(case: Case) -> Path | None:
    """The file of a phantom that tells where it is fractured; ``None`` for a patient."""
    path = case.truth / "fractures.nii.gz" if case.truth is not None else None
    return path if path is not None and path.is_file() else None


def _load(case: Case, home: Path) -> Stack:
    hu = np.load(home / _HU, mmap_mode="r")
    marks = np.load(home / _MARKS, mmap_mode="r")
    affine = np.asarray(json.loads((home / _FACTS).read_text(encoding="utf-8"))["affine"])
    return Stack(case, hu, marks, Grid(hu.shape, affine))


def _prepare(case: Case, spec: SliceSpec, home: Path, facts: dict[str, object]) -> None:
    study = read_study(case.images)
    grid = slice_grid(study.volume, spec)
    hu = np.clip(np.rint(sample(study.volume, grid).hu), -32768, 32767).astype(np.int16)
    marks = np.zeros(grid.shape, dtype=np.uint8)
    if case.mask is not None:
        labels = read_mask(case, grid).labels
        marks[:] = np.where(labels < BOX_BIT, labels, 0)
    for box in case.boxes:
        _mark(marks, box_in_world(study, case, box).corners_mm, study, grid)
    cracks = crack_mask(case)
    if cracks is not None:
        marks[sample(load_mask(cracks), grid).labels > 0] |= CRACK_BIT
    partial = home.with_name(f".{home.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True)
        np.save(partial / _HU, hu)
        np.save(partial / _MARKS, marks)
        (partial / _FACTS).write_text(json.dumps({**facts, "affine": grid.affine.tolist()}), encoding="utf-8")
        shutil.rmtree(home, ignore_errors=True)
        partial.replace(home)
    except OSError as error:
        raise OutputError(f"Prepared studies need a folder that can be written. {home.parent}: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _mark(marks: NDArray[np.uint8], corners_mm: NDArray[np.float64], study: Study, grid: Grid) -> None:
    """Adds :data:`BOX_BIT` where a box is; a slice that is nearer to the box than to the next stored image is on it."""
    corners = grid.index(corners_mm)
    reach = max(study.volume.grid.canonical().spacing_mm[0] / grid.spacing_mm[0], 1) / 2
    margin = np.array([reach, 0.0, 0.0])
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    first = np.clip(np.ceil(low - 1e-6), 0, grid.shape).astype(int)
    last = np.clip(np.floor(high + 1e-6) + 1, 0, grid.shape).astype(int)
    marks[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] |= BOX_BIT


def _facts(case: Case) -> dict[str, object]:
    """What a prepared study was made of; where that has changed it is made again."""
    boxes = [asdict(box) for box in case.boxes]
    files = [case.images, *sorted(case.images.iterdir())] if case.images.is_dir() else [case.images]
    seen = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in [*files, *([case.mask] if case.mask else [])]]
    return {"source": _digest({"files": seen, "boxes": boxes})}


def _is_fresh(home: Path, facts: dict[str, object]) -> bool:
    try:
        stored = json.loads((home / _FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(stored.get("source") == facts["source"])


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
