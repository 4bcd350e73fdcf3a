"""Phantoms in parallel, as arrays that are laid on the device once: a byte a pixel, neighbours by number."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.plan import Necks
from cspine.datasets import Case, read_dataset
from cspine.errors import InputError
from cspine.imaging.windowing import windowed
from cspine.phantoms.dataset.collection import Plan, make_collection
from cspine.phantoms.dataset.layout import Shares, Size
from cspine.phantoms.dataset.subjects import sample_subject
from cspine.phantoms.dataset.workers import workers
from cspine.training.slices.batches import TrainingStudy
from cspine.training.slices.patches import find_slice_patches
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import prepare_stacks

_STEPS = 255
_PLATFORMS = "JAX_PLATFORMS"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedNeck:
    """All of a neck that training and evaluation read; it goes from process to process.

    Attributes:
        study_uid: The study.
        broken: Whether C1..C7 are fractured, ``(7,)``.
        grey: Slices in steps of the window, ``(n, rows, columns)``.
        marks: Of :class:`cspine.training.slices.stacks.SliceStack`, the same shape.
        fracture: How far C1..C7 are seen fractured in each slice, ``(n, 7)``.
        visible: How much of C1..C7 is in each, ``(n, 7)``.
        middles: Point between pixels that a part of a slice lies around, ``(n, 2)``.
        chances: Of :func:`slice_chances`, not yet in relation to other necks, ``(4, n)``.
        on_fracture: Slice, row and column of patches on fractures, ``(k, 3)``.
        on_intact: The same on intact bone.
    """

    study_uid: str
    broken: NDArray[np.bool_]
    grey: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    fracture: NDArray[np.float32]
    visible: NDArray[np.float32]
    middles: NDArray[np.float32]
    chances: NDArray[np.float64]
    on_fracture: NDArray[np.int32]
    on_intact: NDArray[np.int32]


def made(necks: Necks, folder: Path, recipe: SliceRecipe, jobs: int) -> list[PreparedNeck]:
    """Makes a data set and returns its necks; what cannot be read is left out, and reported."""
    root = folder / necks.name
    shares = Shares(masks=1.0, boxes=1.0, enriched=necks.enriched)
    plan = Plan(root, necks.studies, 0, necks.seed, Size.SMALL, shares, partial(sample_subject, anatomy=None))
    for _ in make_collection(plan, jobs):
        pass
    cases = read_dataset(root).cases
    with _off_the_device(), workers(min(jobs, len(cases))) as pool:
        found = list(pool.map(partial(_prepared, recipe=recipe, cache=folder / "cache"), cases))
    for case, neck in zip(cases, found, strict=True):
        if isinstance(neck, str):
            print(f"{necks.name}: {case.study_uid} is left out: {neck}", file=sys.stderr, flush=True)
    return [neck for neck in found if not isinstance(neck, str)]


@contextmanager
def _off_the_device() -> Iterator[None]:
    """Keeps processes that are started within from taking memory of the device; this process has read the variable before."""
    before = os.environ.get(_PLATFORMS)
    os.environ[_PLATFORMS] = "cpu"
    try:
        yield
    finally:
        os.environ.pop(_PLATFORMS) if before is None else os.environ.update({_PLATFORMS: before})


def _prepared(case: Case, recipe: SliceRecipe, cache: Path) -> PreparedNeck | str:
    """Returns a neck, or why it cannot be read, from a process of its own."""
    try:
        (stack,) = prepare_stacks([case], recipe.input, cache)
    except InputError as error:
        return str(error)
    return prepared_neck(TrainingStudy.of(stack, recipe), recipe)


def prepared_neck(study: TrainingStudy, recipe: SliceRecipe) -> PreparedNeck:
    """Returns a study as the device needs it."""
    found, marks = find_slice_patches([study], recipe), np.array(study.stack.marks)
    middle = (np.asarray(marks.shape[1:]) - 1) / 2
    parts = recipe.training_input != recipe.input
    middles = [np.rint([np.mean(axis) for axis in np.nonzero(one)]) - 0.5 if parts and one.any() else middle for one in marks]
    return PreparedNeck(
        study.stack.case.study_uid,
        np.array(study.stack.case.fractured, bool),
        np.rint(windowed(study.stack.hu.astype(np.float32), recipe.input.window_hu) * _STEPS).astype(np.uint8),
        marks,
        study.targets.fracture,
        study.targets.visible,
        np.array(middles, np.float32),
        slice_chances(study),
        found.fractured[:, 1:],
        found.intact[:, 1:],
    )


_SHOWN = 0.25


def slice_chances(study: TrainingStudy) -> NDArray[np.float64]:
    """Returns how likely each slice of a study is, ``(4, n)``: as a fractured one, as an intact one, of the neck, anywhere.

    The first two sum to the fractured levels that slices show, and the others to 1: over many studies they are the chances of
    :class:`cspine.training.slices.batches.SliceSampler`.
    """
    targets, count = study.targets, len(study.stack.hu)
    fractured, intact, neck = np.zeros(count), np.zeros(count), np.zeros(count)
    for fracture, visible in zip(targets.fracture.T, targets.visible.T, strict=True):
        weights = np.maximum(fracture, 0).astype(np.float64)
        beside = ((fracture == 0) & (visible >= _SHOWN)).astype(np.float64)
        if weights.any():
            fractured += weights / weights.sum()
            intact += beside / max(beside.sum(), 1)
    neck[study.neck] = 1 / len(study.neck)
    return np.stack([fractured, intact, neck, np.full(count, 1 / count)])


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """All slices of some necks, one neck after the other.

    Attributes:
        necks: The necks.
        grey: In steps of the window, ``(n, rows, columns)``.
        around: Number of the slice below, of itself and of the one above, ``(n, 3)``.
        first: Where each neck begins, and where the last ends, ``(necks + 1,)``.
    """

    necks: Sequence[PreparedNeck]
    grey: NDArray[np.uint8]
    around: NDArray[np.int32]
    first: NDArray[np.int32]

    @classmethod
    def of(cls, necks: Sequence[PreparedNeck]) -> "Slices":
        """Returns the slices of necks."""
        first = np.cumsum([0, *(len(neck.grey) for neck in necks)]).astype(np.int32)
        around = [np.clip(np.arange(low, high)[:, None] + np.arange(-1, 2), low, high - 1) for low, high in pairwise(first)]
        return cls(necks, np.concatenate([neck.grey for neck in necks]), np.concatenate(around).astype(np.int32), first)
