"""The stages of a run: which part of the network learns, how fast, and what it is asked."""

import keras

from cspine.networks.freezing import let_learn
from cspine.training.core.backend import compiles
from cspine.training.core.losses import KnownBinaryCrossentropy, KnownCellCrossentropy, KnownDiceCrossentropy
from cspine.training.core.optimizer import optimizer_of
from cspine.training.slices.settings import Recipe

_BOXED = 5.0
"""How much more a boxed cell counts than another: a box covers a few of hundreds of cells."""


def stage_at(recipe: Recipe, epoch: int) -> int:
    """The number of the stage to which an epoch belongs, epochs counted from 0."""
    ends = _ends(recipe)
    return next((number for number, end in enumerate(ends) if epoch < end), len(ends) - 1)


def last_stage_begins(recipe: Recipe) -> int:
    """The first epoch of the last stage, counted from 0."""
    ends = _ends(recipe)
    return min(ends[-2], recipe.fit.epochs) if len(ends) > 1 else 0


def enter_stage(model: keras.Model, recipe: Recipe, number: int) -> None:
    """Lets learn what learns in a stage, with a fresh optimiser that is all in place, and the losses of the recipe."""
    stage, ends, settings = recipe.network.stages[number], _ends(recipe), recipe.fit
    let_learn(model, stage)
    begin = ends[number - 1] if number else 0
    steps = max(1, min(ends[number], settings.epochs) - begin) * recipe.sampling.batches
    losses = _losses(recipe)
    model.compile(
        optimizer_of(settings, steps, stage.rate),
        loss={name: loss for name, (loss, _) in losses.items()},
        loss_weights={name: weight for name, (_, weight) in losses.items()},
        jit_compile=compiles(),
    )
    model.optimizer.build(model.trainable_variables)


def _losses(recipe: Recipe) -> dict[str, tuple[keras.losses.Loss, float]]:
    """Loss and weight of each output of the network."""
    settings = recipe.fit
    known: dict[str, tuple[keras.losses.Loss, float]] = {
        "fracture": (KnownBinaryCrossentropy(settings.positive_weight), settings.fracture_weight),
        "visible": (KnownBinaryCrossentropy(), settings.visible_weight),
        "level_map": (KnownCellCrossentropy(), settings.level_map_weight),
        "maps": (KnownDiceCrossentropy(), settings.maps_weight),
        "fracture_map": (KnownBinaryCrossentropy(_BOXED), settings.fracture_map_weight),
    }
    return {name: known[name] for name in recipe.network.outputs}


def _ends(recipe: Recipe) -> list[int]:
    """The epoch after the last of each stage; the last stage takes what is left."""
    ends, end = [], 0
    for stage in recipe.network.stages[:-1]:
        end += stage.epochs
        ends.append(end)
    return [*ends, max(end + 1, recipe.fit.epochs)]
