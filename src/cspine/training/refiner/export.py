"""What a package needs to hold a refiner."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from cspine.training.core.runs import Run
from cspine.training.localiser.export import Trained
from cspine.training.localiser.pool import Part
from cspine.training.refiner.crops import crop_of
from cspine.training.refiner.pool import draw_strip
from cspine.training.refiner.settings import RefinerRecipe

_CROPS = 2


def fine_network(run: Run, recipe: RefinerRecipe) -> Trained:
    """The network that outlines vertebrae, of a run and the recipe that it was started with."""
    return Trained("fine", run, recipe.input, partial(_crops, recipe))


def _crops(recipe: RefinerRecipe) -> NDArray[np.float32]:
    """Two crops of necks that the network did not learn from, ``(n, z, y, x, 3)``."""
    images = [draw_strip(recipe.pool, recipe.input, Part.CHOOSE, number) for number in range(_CROPS)]
    return np.stack([crop_of(np.random.default_rng(number), image, recipe)[0] for number, image in enumerate(images)])
