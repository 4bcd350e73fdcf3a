"""Measures what slice networks with pretrained backbones take on a study: the network alone, with random weights."""

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.speed.counting import exported, multiplications
from cspine.imaging import sample
from cspine.imaging.slices import network_input, slice_grid
from cspine.recipes import load_slice_recipe
from cspine.runtime import Engine, open_session
from cspine.study import Study
from cspine.training.core.settings import with_settings

ROWS = {
    "densenet121": ("densenet121", {}),
    "inception_v3": ("inception_v3", {}),
    "inception_resnet_v2": ("inception_resnet_v2", {}),
    "unet_transfer, inception_resnet_v2": ("unet_transfer", {"network.backbone": "inception_resnet_v2"}),
}
"""Recipes and what is changed in them."""

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Family:
    """Holds what one network takes.

    Attributes:
        name: Which.
        slices: How many the study has for it.
        timed: How many of them were run.
        seconds_a_slice: Of the network alone.
        multiplications_a_slice: In convolutions and matrix products.
    """

    name: str
    slices: int
    timed: int
    seconds_a_slice: float
    multiplications_a_slice: int

    @property
    def seconds(self) -> float:
        """Returns the seconds of all slices."""
        return self.seconds_a_slice * self.slices

    def floor_s(self, gflops: float) -> float:
        """Returns the least seconds of all slices at a rate of matrix products."""
        return 2 * self.multiplications_a_slice * self.slices / gflops / 1e9


def measured(name: str, study: Study, most: int) -> Family:
    """Runs slices of a study through a network, as many as are asked for, from all of its height.

    Args:
        name: One of ``ROWS``.
        study: The study.
        most: How many slices to run.
    """
    recipe_name, changes = ROWS[name]
    recipe = with_settings(load_slice_recipe(recipe_name), {**changes, "network.weights": "none"})
    stack = sample(study.volume, slice_grid(study.volume, recipe.input))
    count = stack.grid.shape[0]
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()
    content = exported(recipe.network.build(recipe.input, 0))
    session = open_session(content, Engine())
    batches = [network_input(stack, recipe.input, chosen[first : first + _AT_ONCE]) for first in range(0, len(chosen), _AT_ONCE)]
    session.run(batches[0])
    begin = time.perf_counter()
    for batch in batches:
        session.run(batch)
    seconds = (time.perf_counter() - begin) / len(chosen)
    return Family(name, count, len(chosen), seconds, multiplications(content, (1, *batches[0].shape[1:])))
