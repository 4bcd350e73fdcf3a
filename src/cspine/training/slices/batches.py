"""Batches of slices: which, how changed, and what they show; all follow from the seed, the epoch and the number of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import TrainingError
from cspine.training.core.marks import UNKNOWN, boxed_cells, cell_levels, fracture_mask, fractured_cells, pixel_levels
from cspine.training.core.settings import AnnotationUse
from cspine.training.slices.augmentation import apply_change, sample_change
from cspine.training.slices.labels import SliceTargets, slice_targets
from cspine.training.slices.settings import SliceRecipe, SliceSamplingSettings
from cspine.training.slices.stacks import SliceStack

Batch = tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]

_SHOWN = 0.25
"""From this visibility of any level on a slice belongs to the neck."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingStudy:
    """A study to learn from.

    Attributes:
        stack: Its slices, with what is marked on them.
        targets: What its slices show.
        fracture_mask_known: Whether its fractures are marked, as of a phantom.
        held_back: Slices that are left out of training, ``(n,)``.
    """

    stack: SliceStack
    targets: SliceTargets
    held_back: NDArray[np.bool_]
    fracture_mask_known: bool = False

    @classmethod
    def of(cls, stack: SliceStack, recipe: SliceRecipe) -> "TrainingStudy":
        """Returns the study with what its slices show.

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
            held_back_slices(case.study_uid, len(stack.hu), recipe),
            fracture_mask_known,
        )

    @property
    def neck(self) -> NDArray[np.intp]:
        """Returns the slices that show a level; all of them where that is not known."""
        shown = np.any((self.targets.visible >= _SHOWN) | (self.targets.visible < 0), axis=1) & ~self.held_back
        return np.flatnonzero(shown if shown.any() else ~self.held_back)


def held_back_slices(study_uid: str, count: int, recipe: SliceRecipe) -> NDArray[np.bool_]:
    """Returns slices of a study that are left out of training, ``(count,)``: a random share, the same for the same split."""
    rng = np.random.default_rng([recipe.split.seed, *study_uid.encode()])
    held_back = np.asarray(rng.random(count) < recipe.sampling.held_back_share)
    return held_back & ~held_back.all()  # something is left to learn from


class SliceSampler:
    """Samples slices: some that show a fracture, some that show the same level where it is intact, the rest from any study."""

    def __init__(self, studies: Sequence[TrainingStudy], settings: SliceSamplingSettings) -> None:
        self._settings = settings
        self._anywhere = [np.flatnonzero(~study.held_back) for study in studies]
        self._necks = [study.neck for study in studies]
        self._fractured: list[tuple[int, NDArray[np.float64]]] = []
        self._intact: list[tuple[int, NDArray[np.intp]]] = []
        for number, study in enumerate(studies):
            for fracture, visible in zip(study.targets.fracture.T, study.targets.visible.T, strict=True):
                weights = np.where(study.held_back, 0, np.maximum(fracture, 0)).astype(np.float64)
                if not weights.any():
                    continue
                self._fractured.append((number, weights / weights.sum()))
                intact = np.flatnonzero((fracture == 0) & (visible >= _SHOWN) & ~study.held_back)
                if len(intact):
                    self._intact.append((number, intact))

    def sample(self, rng: np.random.Generator) -> tuple[int, int]:
        """Returns the number of a study and of one of its slices."""
        lot, settings = rng.random(), self._settings
        if lot < settings.fractured_share and self._fractured:
            study, weights = self._fractured[rng.integers(len(self._fractured))]
            return study, int(rng.choice(len(weights), p=weights))
        if settings.fractured_share <= lot < settings.fractured_share + settings.intact_share and self._intact:
            study, intact = self._intact[rng.integers(len(self._intact))]
            return study, int(rng.choice(intact))
        study = int(rng.integers(len(self._anywhere)))
        if lot > 1 - settings.anywhere_share:
            return study, int(rng.choice(self._anywhere[study]))
        return study, int(rng.choice(self._necks[study]))


class SliceBatches(keras.utils.PyDataset):
    """The batches of one epoch, from ``first`` on."""

    def __init__(self, studies: Sequence[TrainingStudy], recipe: SliceRecipe, fold: int, epoch: int, first: int = 0) -> None:
        super().__init__(workers=recipe.fit.workers, use_multiprocessing=False, max_queue_size=8)
        self._studies, self._recipe, self._sampler = studies, recipe, SliceSampler(studies, recipe.sampling)
        self._fold, self._epoch, self._first = fold, epoch, first

    def __len__(self) -> int:
        return self._recipe.fit.batches - self._first

    def __getitem__(self, index: int) -> Batch:
        """Returns slices ``(n, rows, columns, channels)`` and what they show, by the name of the network's output."""
        rng = np.random.default_rng([self._recipe.seed, self._fold, self._epoch, self._first + index])
        sampled = [self._one(rng) for _ in range(self._recipe.fit.batch)]
        targets = {name: np.stack([target[name] for _, target in sampled]) for name in sampled[0][1]}
        return np.stack([image for image, _ in sampled]), targets

    def _one(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        chosen, number = self._sampler.sample(rng)
        study, recipe, spec = self._studies[chosen], self._recipe, self._recipe.input
        image = study.stack.input(spec, number, number + 1)[0]
        crop = None if recipe.training_input == spec else recipe.training_input.size
        change = sample_change(rng, recipe.augmentation, spec)
        image, marks = apply_change(image, study.stack.marks[number], change, crop)
        targets = {"fracture": study.targets.fracture[number], "visible": study.targets.visible[number]}
        case = study.stack.case
        masked = recipe.labels.fracture_masks is AnnotationUse.LABEL and study.fracture_mask_known
        known = {"level_map": case.mask is not None, "maps": case.mask is not None, "fracture_map": masked or bool(case.boxes)}
        for name in (name for name in recipe.network.outputs if name in _MAPS):
            found = fractured_cells(marks) if masked and name == "fracture_map" else _MAPS[name](marks)
            targets[name] = found if known[name] else np.full_like(found, UNKNOWN)
        return image, targets


_MAPS = {"level_map": cell_levels, "maps": pixel_levels, "fracture_map": boxed_cells}
"""How what is marked on a slice becomes the target of an output."""
