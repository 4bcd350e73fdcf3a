"""Studies as the service classifies them slice by slice: around the vertebrae that were located, prepared once and kept on disk.

The slices and what levels each shows come from :mod:`cspine.detection.stack`, as in service; networks may learn from other slices
(:mod:`cspine.training.slices.stacks`).
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.datasets import Case
from cspine.datasets.cache import Cache
from cspine.detection.stack import slices_around, visible_levels
from cspine.evaluation import StudyScores
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.imaging.slices import slice_grid
from cspine.modelpack import pool_slices
from cspine.reading import read_study
from cspine.training.core.finding import Finder, localiser_of, located_in
from cspine.training.core.marks import LIMIT_BYTES, let_be_open, refuse_wrong_marks
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack, marks_on, source_of

_FORMAT = 1
_FILES = 2
"""Arrays of a study that stay open: its picture and its marks."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LocatedStack:
    """One study on the slices that are classified.

    Attributes:
        stack: Its slices, in full precision.
        visible: How much of C1..C7 is in each, 0..1, ``(n, 7)``; 0 for levels that were not found, or whose name is not sure.
    """

    stack: SliceStack
    visible: NDArray[np.float64] = field(repr=False)


def prepare_located(
    cases: Iterable[Case], recipe: SliceRecipe, finder: Finder, cache: Path, tell: Callable[[str], None] = logger.info
) -> list[LocatedStack]:
    """Returns some studies as they are classified, from ``cache`` where they were prepared before.

    Raises:
        InputError: A study, mask or box cannot be read, or a mask or box does not fit its images.
        PackageError: The localiser cannot be used.
        OutputError: ``cache`` cannot be written, or so many files may not be open.
    """
    kept, given, found = Cache(cache, LIMIT_BYTES), list(cases), []
    let_be_open(_FILES * len(given))
    for number, case in enumerate(given, 1):
        tell(f"locating study {number} of {len(given)}")
        found.append(_located(case, recipe, finder, kept))
    return found


def located_scores(stacks: Sequence[LocatedStack], fractures: Sequence[NDArray[np.floating]]) -> StudyScores:
    """Returns scores of labelled studies, overall and C1..C7, as the service pools them; 0 for levels that get no probability.

    Args:
        stacks: The studies.
        fractures: What a network says of the fracture of C1..C7 in their slices, ``(n, 7)`` each.
    """
    broken = [stack.stack.case.fractured or () for stack in stacks]
    scores = [pool_slices(fracture, one.visible).outputs for one, fracture in zip(stacks, fractures, strict=True)]
    return StudyScores(
        study_uids=tuple(one.stack.case.study_uid for one in stacks),
        truth=np.array([[any(levels), *levels] for levels in broken], dtype=bool),
        scores=np.array(scores),
    )


def _located(case: Case, recipe: SliceRecipe, finder: Finder, cache: Cache) -> LocatedStack:
    by_mask = finder.trusts_mask(case)
    made = {
        "format": _FORMAT,
        "located slices": asdict(recipe.input),
        "levels": "mask" if by_mask else localiser_of(recipe.localiser).package.sha256,
        "boxes": [asdict(box) for box in case.boxes],
    }
    found = cache.arrays(source_of(case, cache), made, lambda: _prepared(case, recipe, finder))
    grid = Grid(found["hu"].shape, np.array(found["affine"]))
    return LocatedStack(SliceStack(case, found["hu"], found["marks"], grid), np.array(found["visible"]))


def _prepared(case: Case, recipe: SliceRecipe, finder: Finder) -> dict[str, NDArray[Any]]:
    study = read_study(case.images)
    refuse_wrong_marks(case, study)
    located = located_in(case, study.volume, finder, recipe.localiser)
    if located.vertebrae:
        grid = slices_around(located, study.volume.grid, recipe.input)
        visible = visible_levels(located, grid)
    else:
        grid = slice_grid(study.volume, recipe.input)
        visible = np.zeros((grid.shape[0], len(CERVICAL)))
    hu = sample(study.volume, grid).hu
    return {"hu": hu, "marks": marks_on(grid, case, study), "affine": grid.affine, "visible": visible}
