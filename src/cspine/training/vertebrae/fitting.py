"""Finding the weights of a network that judges vertebra by vertebra."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from cspine.errors import TrainingError
from cspine.evaluation.metrics import auroc, mean_level_auroc
from cspine.files import write_text
from cspine.networks.loading import load_network
from cspine.training.core.loop import Lesson, fit_epochs
from cspine.training.core.losses import KnownBinaryCrossentropy
from cspine.training.slices.fitting import BEST, HELD_OUT, Reporter
from cspine.training.slices.settings import FitSettings
from cspine.training.vertebrae.batches import VertebraBatches
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.patch_fitting import VertebraFold, learn_patches
from cspine.training.vertebrae.prediction import all_views, scores_of
from cspine.training.vertebrae.settings import VertebraRecipe

PATCHES, HEADS = "patches", "heads"
"""Folders, in that of the fold, of the first and the second part of training."""

Build = Callable[[], keras.Model]

_CELL_POSITIVE = 3.0
"""How much more a broken cell counts than a whole one: one in a hundred is broken."""


@dataclass(frozen=True, slots=True)
class VertebraRecord:
    """One line of the log.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        auroc_overall: Of any fracture, on held-out patients; NaN where they are all alike.
        auroc_levels: Mean over the levels that can be judged.
        seconds: Training and judging.
    """

    epoch: int
    loss: float
    auroc_overall: float
    auroc_levels: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        known = [value for value in (self.auroc_overall, self.auroc_levels) if math.isfinite(value)]
        return float(np.mean(known)) if known else float("-inf")


def fit_vertebrae(recipe: VertebraRecipe, data: VertebraFold, home: Path, reporter: Reporter) -> None:
    """Trains one network, from its checkpoint on where there is one.

    Writes ``best.keras``, ``log.csv``, ``tensorboard``, ``held_out.csv`` and ``checkpoint.npz`` into ``home``.

    Raises:
        TrainingError: The checkpoint does not fit, or the loss is no number any more.
        OutputError: ``home`` cannot be written.
    """
    build = partial(_fresh, recipe, data.number)
    if recipe.start:
        build = partial(_as_stored, build, Path(recipe.start))
    taught = learn_patches(recipe, data, home / PATCHES, reporter) if recipe.patches.epochs and not recipe.start else None
    if taught is not None:
        build = partial(_with_backbone, build, taught)
        if recipe.heads.epochs:
            paced = replace(recipe.fit, epochs=recipe.heads.epochs, learning_rate=recipe.heads.learning_rate)
            frozen = partial(_with_backbone, build, taught, frozen=True)
            fit_epochs(replace(recipe, fit=paced), _lesson(recipe, data, frozen), home / HEADS, reporter)
            build = partial(_as_stored, build, home / HEADS / BEST)
    fit_epochs(recipe, _lesson(recipe, data, build), home, reporter)
    model = load_network(home / BEST)
    write_text(home / HELD_OUT, scores_of(data.held_out, all_views(model, data.held_out, recipe)).to_csv())


def _lesson(recipe: VertebraRecipe, data: VertebraFold, build: Build) -> Lesson[Sequence[StudyCrops]]:
    return Lesson(
        build=build,
        batches=partial(VertebraBatches, data.learnt_from, recipe, data.number),
        held_out=lambda: data.held_out,
        judge=partial(_judge, recipe=recipe),
        loss=losses(recipe.fit),
        record=VertebraRecord,
        weights=weights(recipe.fit),
    )


def _fresh(recipe: VertebraRecipe, fold: int) -> keras.Model:
    return recipe.network.build(recipe.input, recipe.seed * 100 + fold)


def _with_backbone(build: Build, taught: Path, *, frozen: bool = False) -> keras.Model:
    """A network with the backbone of another; frozen, its batch normalisation stays as it is too."""
    network = build()
    for layer in load_network(taught).layers:
        if layer.weights:
            own = network.get_layer(layer.name)
            own.set_weights(layer.get_weights())
            own.trainable = not frozen
    return network


def _as_stored(build: Build, stored: Path) -> keras.Model:
    """A network with all weights of another."""
    network = build()
    try:
        network.set_weights(load_network(stored).get_weights())
    except ValueError as error:
        raise TrainingError(
            f"A network begins with one of the same layers. {stored} has others; set network as it was trained, or leave start out."
        ) from error
    return network


def losses(settings: FitSettings) -> dict[str, keras.losses.Loss]:
    """One for each output that learns; the weights of slices learn through the vertebrae."""
    judged = {name: KnownBinaryCrossentropy(settings.positive_weight) for name in ("fracture", "overall", "slices")}
    return {**judged, "fracture_map": KnownBinaryCrossentropy(_CELL_POSITIVE)}


def weights(settings: FitSettings) -> dict[str, float]:
    """Of these losses."""
    return {
        "fracture": settings.fracture_weight,
        "overall": settings.overall_weight,
        "slices": settings.level_map_weight,
        "fracture_map": settings.fracture_map_weight,
    }


def _judge(model: keras.Model, held_out: Sequence[StudyCrops], recipe: VertebraRecipe) -> dict[str, float]:
    scores = scores_of(held_out, all_views(model, held_out, recipe))
    return {
        "auroc_overall": auroc(scores.truth[:, 0], scores.scores[:, 0]),
        "auroc_levels": mean_level_auroc(scores.truth, scores.scores),
    }
