"""The first part of training: a backbone learns from patches what a break looks like."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from cspine.evaluation.metrics import auroc
from cspine.training.core.loop import Lesson, fit_epochs
from cspine.training.core.losses import KnownBinaryCrossentropy
from cspine.training.slices.fitting import BEST, Reporter
from cspine.training.slices.settings import FitSettings
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.patches import PatchBatches, Patches, find_places, fixed_patches
from cspine.training.vertebrae.settings import VertebraRecipe

_AT_ONCE = 50


@dataclass(frozen=True, slots=True, eq=False)
class VertebraFold:
    """The patients of one fold.

    Attributes:
        number: Which patients are held out.
        learnt_from: The others; each as often as it was cut.
        held_out: These.
    """

    number: int
    learnt_from: Sequence[StudyCrops]
    held_out: Sequence[StudyCrops]


@dataclass(frozen=True, slots=True)
class PatchRecord:
    """One line of the log.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        auroc_cells: Of broken cells, on patches of held-out patients; NaN where they are all alike.
        auroc_patches: Of patches that show a fracture, by their strongest cell.
        seconds: Training and judging.
    """

    epoch: int
    loss: float
    auroc_cells: float
    auroc_patches: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        return self.auroc_patches if math.isfinite(self.auroc_patches) else float("-inf")


def learn_patches(recipe: VertebraRecipe, data: VertebraFold, home: Path, reporter: Reporter) -> Path | None:
    """Teaches the backbone what a break looks like, from its checkpoint on where there is one.

    Args:
        recipe: What to train.
        data: The patients.
        home: Where ``best.keras``, ``log.csv``, ``tensorboard`` and ``checkpoint.npz`` go.
        reporter: Who wants to know.

    Returns:
        The file of what was learnt; ``None`` where nobody knows where breaks are.

    Raises:
        TrainingError: The checkpoint does not fit, or the loss is no number any more.
        OutputError: ``home`` cannot be written.
    """
    places = find_places(data.learnt_from, recipe)
    if not len(places.broken) or not len(places.whole):
        reporter.warn("no study tells where it is broken, so nothing is learnt from patches")
        return None
    settings = recipe.patches
    paced = replace(recipe.fit, epochs=settings.epochs, learning_rate=settings.learning_rate)
    lesson = Lesson(
        build=lambda: recipe.network.build(recipe.input, recipe.seed * 100 + data.number).on_slices(settings.size),
        batches=partial(PatchBatches, places, recipe, data.number),
        held_out=partial(fixed_patches, data.held_out, recipe),
        judge=_judge,
        loss=KnownBinaryCrossentropy(),
        record=PatchRecord,
    )
    fit_epochs(_Pace(recipe.name, settings.batches, paced, recipe.seed), lesson, home, reporter)
    return home / BEST


@dataclass(frozen=True, slots=True)
class _Pace:
    """See :class:`cspine.training.core.loop.Paced`."""

    name: str
    batches: int
    fit: FitSettings
    seed: int


def _judge(model: keras.Model, patches: Patches) -> dict[str, float]:
    if not patches:
        return {"auroc_cells": math.nan, "auroc_patches": math.nan}
    parts = (np.stack([fed for fed, _ in patches[i : i + _AT_ONCE]]) for i in range(0, len(patches), _AT_ONCE))
    said = np.concatenate([np.asarray(model.predict_on_batch(part))[..., 0] for part in parts]).astype(np.float64)
    broken = np.stack([cells for _, cells in patches]) > 0
    return {
        "auroc_cells": auroc(broken.ravel(), said.ravel()),
        "auroc_patches": auroc(np.asarray(broken.any(axis=(1, 2))), said.max(axis=(1, 2))),
    }
