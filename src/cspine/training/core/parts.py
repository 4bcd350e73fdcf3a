"""Training in up to three parts: where it is fractured, from patches; then who is, with what patches trained; then all at once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import keras

from cspine.training.core.layer_weights import Build, with_file, with_layers_of
from cspine.training.core.log import Reporter
from cspine.training.core.loop import Keep, Stage, TrainingTask, Validation, train_network
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.runs import LAST
from cspine.training.core.settings import FitSettings

PATCHES, HEADS = "patches", "heads"
"""Folders, in that of the fold, of the first and the second part of training."""

NO_PATCHES = "no study says where it is fractured, so patches are not used"


class RecipeInParts(Protocol):
    """A recipe with settings for all three parts."""

    @property
    def fit(self) -> FitSettings: ...  # noqa: D102

    @property
    def patches(self) -> PatchSettings: ...  # noqa: D102

    @property
    def heads(self) -> HeadSettings: ...  # noqa: D102

    @property
    def seed(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Holds what a network learns in its parts.

    Attributes:
        build: Makes the whole network with its initial weights.
        patches: What its cells learn from patches; ``None`` where that part is left out.
        whole: What a network learns from whole studies or slices, by what makes it.
        heads: Sets what learns in the second part, beside the layers that patches do not know.
    """

    build: Build
    patches: TrainingTask[Any] | None
    whole: Callable[[Build], TrainingTask[Any]]
    heads: Callable[[keras.Model], None] = lambda _: None


def train_in_parts(recipe: RecipeInParts, parts: Parts, home: Path, reporter: Reporter) -> None:
    """Trains one network in up to three parts, each from its checkpoint on where there is one.

    Raises:
        TrainingError: A checkpoint does not fit, or the loss is NaN.
        OutputError: ``home`` cannot be written.
    """
    build = parts.build
    if parts.patches is not None:
        train_network(parts.patches, fit_of_patches(recipe), recipe.seed, home / PATCHES, reporter)
        backbone = home / PATCHES / LAST
        if recipe.heads.epochs:
            fit = replace(recipe.fit, epochs=recipe.heads.epochs, learning_rate=recipe.heads.learning_rate, patience=0)
            task = parts.whole(partial(with_layers_of, build, backbone, frozen=True))
            task = replace(
                task, validate=_without_scores(task), keep=Keep.LAST, stages=[Stage(recipe.heads.epochs, prepare=parts.heads)]
            )
            train_network(task, fit, recipe.seed, home / HEADS, reporter)
            build = partial(with_file, build, home / HEADS / LAST)
        else:
            build = partial(with_layers_of, build, backbone)
    train_network(parts.whole(build), recipe.fit, recipe.seed, home, reporter)


def fit_of_patches(recipe: RecipeInParts) -> FitSettings:
    """Returns how the weights are fitted to patches."""
    settings = recipe.patches
    return replace(
        recipe.fit,
        epochs=settings.epochs,
        batch=settings.batch,
        batches=settings.batches,
        learning_rate=settings.learning_rate,
        patience=0,
    )


def _without_scores(task: TrainingTask[Any]) -> Callable[[keras.Model, Any], Validation]:
    """Returns a validation that leaves no scores: only the last part of training has held-out scores that count."""
    return lambda model, held_out: replace(task.validate(model, held_out), scores_csv=None)
