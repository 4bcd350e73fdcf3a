"""Studies as a slice network sees them, prepared once and kept on disk."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.datasets import Case, box_in_world, load_mask, read_mask
from cspine.datasets.cache import Cache
from cspine.errors import OutputError
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.imaging.slices import network_input, slice_grid
from cspine.reading import read_study
from cspine.specs import SliceSpec
from cspine.study import Study
from cspine.training.core.marks import (
    BOX_BIT,
    FRACTURE_BIT,
    LIMIT_BYTES,
    fracture_mask,
    let_be_open,
    level_marks,
    refuse_wrong_marks,
)
from cspine.volume import Volume

_FORMAT = 3

_FILES_OF_A_STACK = 3
"""Its picture, its marks, and its pseudo-labels."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SliceStack:
    """One study on its slice grid.

    Attributes:
        case: The study.
        hu: Hounsfield units, rounded where they are used in training, ``(n, rows, columns)``; read from disk as they are needed.
        marks: Level of each pixel, plus :data:`cspine.training.core.marks.BOX_BIT` in a box and
            :data:`cspine.training.core.marks.FRACTURE_BIT` on a known fracture, ``(n, rows, columns)``.
        grid: Where the voxels lie.
    """

    case: Case
    hu: NDArray[np.int16 | np.float32] = field(repr=False)
    marks: NDArray[np.uint8] = field(repr=False)
    grid: Grid = field(repr=False)

    def input(self, spec: SliceSpec, first: int, last: int) -> NDArray[np.float32]:
        """Returns slices from ``first`` up to ``last``, as the network takes them, ``(last - first, rows, columns, channels)``."""
        low, high = max(first - spec.neighbours, 0), min(last + spec.neighbours, len(self.hu))
        shape = (high - low, *self.grid.shape[1:])
        part = Volume(self.hu[low:high].astype(np.float32), self.grid.part((low, 0, 0), shape))
        return network_input(part, spec, range(first - low, last - low))


def prepare_stacks(
    cases: Iterable[Case], spec: SliceSpec, cache: Path, tell: Callable[[str], None] = logger.info
) -> list[SliceStack]:
    """Returns the stacks of some studies, from ``cache`` where they were prepared before.

    Raises:
        InputError: A study, mask or box cannot be read, or a mask or box does not fit its images.
        OutputError: ``cache`` cannot be written, or is too small for all; or so many files may not be open.
    """
    kept, given, stacks = Cache(cache, LIMIT_BYTES), list(cases), []
    let_be_open(_FILES_OF_A_STACK * len(given))
    for number, case in enumerate(given, 1):
        tell(f"preparing study {number} of {len(given)}")
        stacks.append(_stack(case, spec, kept))
        needed = len(given) * sum(stack.hu.nbytes + stack.marks.nbytes for stack in stacks) // number
        if needed > kept.limit_bytes:
            raise OutputError(
                f"{len(given)} prepared studies need {needed / 2**30:.0f} GiB. A cache holds {kept.limit_bytes / 2**30:.0f} GiB; "
                "set a smaller input.size or a larger input.spacing_mm."
            )
    return stacks


def source_of(case: Case, cache: Cache) -> str:
    """Returns a digest of all files that the slices of a study and their marks follow from."""
    images = sorted(case.images.iterdir()) if case.images.is_dir() else [case.images]
    return cache.content([*images, *(path for path in (case.mask, fracture_mask(case)) if path is not None)])


def _stack(case: Case, spec: SliceSpec, cache: Cache) -> SliceStack:
    made = {"format": _FORMAT, "slices": asdict(spec), "boxes": [asdict(box) for box in case.boxes]}
    found = cache.arrays(source_of(case, cache), made, lambda: _prepared(case, spec))
    return SliceStack(case, found["hu"], found["marks"], Grid(found["hu"].shape, np.array(found["affine"])))


def _prepared(case: Case, spec: SliceSpec) -> dict[str, NDArray[Any]]:
    study = read_study(case.images)
    refuse_wrong_marks(case, study)
    grid = slice_grid(study.volume, spec)
    hu = np.clip(np.rint(sample(study.volume, grid).hu), -32768, 32767).astype(np.int16)
    return {"hu": hu, "marks": marks_on(grid, case, study), "affine": grid.affine}


def marks_on(grid: Grid, case: Case, study: Study) -> NDArray[np.uint8]:
    """Returns what is known of each pixel of some slices: its level, whether it is in a box or on a known fracture.

    Args:
        grid: The slices, ``(n, rows, columns)``.
        case: The study.
        study: Its images.

    Raises:
        DatasetError: A mask cannot be read.
    """
    marks = np.zeros(grid.shape, dtype=np.uint8)
    if case.mask is not None:
        marks[:] = level_marks(read_mask(case, grid))
    for box in case.boxes:
        _mark(marks, box_in_world(study, case, box).corners_mm, study, grid)
    known = fracture_mask(case)
    if known is not None:
        marks[sample(load_mask(known), grid).labels > 0] |= FRACTURE_BIT
    return marks


def _mark(marks: NDArray[np.uint8], corners_mm: NDArray[np.float64], study: Study, grid: Grid) -> None:
    """Adds :data:`BOX_BIT` where a box is; a slice that is nearer to the box than to the next stored image is on it."""
    corners = grid.index(corners_mm)
    reach = max(study.volume.grid.canonical().spacing_mm[0] / grid.spacing_mm[0], 1) / 2
    margin = np.array([reach, 0.0, 0.0])
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    first = np.clip(np.ceil(low - 1e-6), 0, grid.shape).astype(int)
    last = np.clip(np.floor(high + 1e-6) + 1, 0, grid.shape).astype(int)
    marks[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] |= BOX_BIT
