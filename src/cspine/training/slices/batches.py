"""Batches of slices: which, how changed, and what they show; all follow from the seed, the epoch and the number of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.errors import TrainingError
from cspine.networks.settings import WHERE_STRIDE
from cspine.training.slices.augmentation import changed, draw_change
from cspine.training.slices.labels import BOX_BIT, FRACTURE_BIT, UNKNOWN, SliceTargets, slice_targets
from cspine.training.slices.settings import FractureMaskUse, Recipe, SamplingSettings, SplitSettings
from cspine.training.slices.stacks import Stack, fracture_mask

Batch = tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]

_FRACTURED_SHARE = 0.1
"""Share of a cell on a fracture from which on the cell counts as broken."""

_SHOWN = 0.25
"""From this visibility of any level on a slice belongs to the neck."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A study to learn from.

    Attributes:
        stack: Its slices, with what is marked on them.
        targets: What its slices show.
        fracture_mask_known: Whether its fractures are marked, as of a phantom.
        kept: Slices that are not learnt from, ``(n,)``.
    """

    stack: Stack
    targets: SliceTargets
    kept: NDArray[np.bool_]
    fracture_mask_known: bool = False

    @classmethod
    def of(cls, stack: Stack, recipe: Recipe) -> "Sample":
        """The study with what its slices show.

        Raises:
            TrainingError: Its label is not known.
        """
        case, fracture_mask_known = stack.case, fracture_mask(stack.case) is not None
        if case.fractured is None:
            raise TrainingError(f"Training needs labelled studies. {case.study_uid} has no label; take it out of the data set.")
        return cls(
            stack,
            slice_targets(
                case.fractured,
                np.asarray(stack.marks),
                has_mask=case.mask is not None,
                has_boxes=bool(case.boxes),
                settings=recipe.labels,
                has_fracture_mask=fracture_mask_known,
            ),
            kept_slices(case.study_uid, len(stack.hu), recipe.split),
            fracture_mask_known,
        )

    @property
    def neck(self) -> NDArray[np.intp]:
        """Slices that show a level; all of them where that is not known."""
        shown = np.any((self.targets.visible >= _SHOWN) | (self.targets.visible < 0), axis=1) & ~self.kept
        return np.flatnonzero(shown if shown.any() else ~self.kept)


def kept_slices(study_uid: str, count: int, split: SplitSettings) -> NDArray[np.bool_]:
    """Slices of a study that are not learnt from, ``(count,)``: a share drawn at random, the same for the same split."""
    rng = np.random.default_rng([split.seed, *study_uid.encode()])
    kept = np.asarray(rng.random(count) < split.slices_kept)
    return kept & ~kept.all()  # something is left to learn from


class SliceSampler:
    """Chooses slices: some that show a fracture, some beside a fracture, the rest from any study."""

    def __init__(self, samples: Sequence[Sample], settings: SamplingSettings) -> None:
        self._settings = settings
        self._anywhere = [np.flatnonzero(~sample.kept) for sample in samples]
        self._necks = [sample.neck for sample in samples]
        self._broken: list[tuple[int, NDArray[np.float64]]] = []
        self._beside: list[tuple[int, NDArray[np.intp]]] = []
        for study, sample in enumerate(samples):
            for fracture, visible in zip(sample.targets.fracture.T, sample.targets.visible.T, strict=True):
                weights = np.where(sample.kept, 0, np.maximum(fracture, 0)).astype(np.float64)
                if not weights.any():
                    continue
                self._broken.append((study, weights / weights.sum()))
                beside = np.flatnonzero((fracture == 0) & (visible >= _SHOWN) & ~sample.kept)
                if len(beside):
                    self._beside.append((study, beside))

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """The number of a study and of one of its slices."""
        lot, settings = rng.random(), self._settings
        if lot < settings.fractured_share and self._broken:
            study, weights = self._broken[rng.integers(len(self._broken))]
            return study, int(rng.choice(len(weights), p=weights))
        if settings.fractured_share <= lot < settings.fractured_share + settings.beside_share and self._beside:
            study, beside = self._beside[rng.integers(len(self._beside))]
            return study, int(rng.choice(beside))
        study = int(rng.integers(len(self._anywhere)))
        if lot > 1 - settings.anywhere_share:
            return study, int(rng.choice(self._anywhere[study]))
        return study, int(rng.choice(self._necks[study]))


class SliceBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, samples: Sequence[Sample], recipe: Recipe, epoch: int, first: int = 0, fold: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=8)
        self._samples, self._recipe, self._sampler = samples, recipe, SliceSampler(samples, recipe.sampling)
        self._epoch, self._first, self._fold = epoch, first, fold

    def __len__(self) -> int:
        return self._recipe.sampling.batches - self._first

    def __getitem__(self, index: int) -> Batch:
        """Slices ``(n, rows, columns, channels)`` and what they show, by the name of the network's output."""
        rng = np.random.default_rng([self._recipe.seed, self._fold, self._epoch, self._first + index])
        drawn = [self._one(rng) for _ in range(self._recipe.sampling.batch)]
        targets = {name: np.stack([target[name] for _, target in drawn]) for name in drawn[0][1]}
        return np.stack([image for image, _ in drawn]), targets

    def _one(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        study, number = self._sampler.draw(rng)
        sample = self._samples[study]
        spec = self._recipe.input
        image = sample.stack.input(spec, number, number + 1)[0]
        crop = None if self._recipe.learnt_input == spec else self._recipe.learnt_input.size
        image, marks = changed(image, sample.stack.marks[number], draw_change(rng, self._recipe.augmentation, spec), crop)
        targets = {"fracture": sample.targets.fracture[number], "visible": sample.targets.visible[number]}
        case = sample.stack.case
        cracked = self._recipe.labels.fracture_masks is FractureMaskUse.LABEL and sample.fracture_mask_known
        known = {"level_map": case.mask is not None, "maps": case.mask is not None, "fracture_map": cracked or bool(case.boxes)}
        for name in (name for name in self._recipe.network.outputs if name in _MAPS):
            found = fracture_cells(marks) if cracked and name == "fracture_map" else _MAPS[name](marks)
            targets[name] = found if known[name] else np.full_like(found, UNKNOWN)
        return image, targets


def cells(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much of each cell is background and C1..C7, ``(rows / 8, columns / 8, 8)``, of marks ``(rows, columns)``."""
    rows, columns = (n // WHERE_STRIDE for n in marks.shape)
    tiles = (marks % BOX_BIT).reshape(rows, WHERE_STRIDE, columns, WHERE_STRIDE)
    shares = np.stack([np.count_nonzero(tiles == level, axis=(1, 3)) for level in CERVICAL], axis=-1) / WHERE_STRIDE**2
    return np.concatenate([1 - shares.sum(axis=-1, keepdims=True), shares], axis=-1).astype(np.float32)


def levels_of(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Level of each pixel, C1..C7 or background, ``(rows, columns)``."""
    levels = marks % BOX_BIT
    return np.where(levels <= max(CERVICAL), levels, 0).astype(np.float32)


def boxed_cells(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much of each cell lies in a box, ``(rows / 8, columns / 8, 1)``, of marks ``(rows, columns)``."""
    return _share_of_cells((marks & BOX_BIT) > 0)


def fracture_cells(marks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Whether a fracture is in each cell, 0..1, ``(rows / 8, columns / 8, 1)``, of marks ``(rows, columns)``."""
    return np.minimum(_share_of_cells((marks & FRACTURE_BIT) > 0) / _FRACTURED_SHARE, 1)


def _share_of_cells(marked: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = (n // WHERE_STRIDE for n in marked.shape)
    tiles = marked.reshape(rows, WHERE_STRIDE, columns, WHERE_STRIDE)
    return tiles.mean(axis=(1, 3), dtype=np.float32)[..., None]


_MAPS = {"level_map": cells, "maps": levels_of, "fracture_map": boxed_cells}
"""How what is marked on a slice becomes the target of an output."""
