"""What a wrong protocol reports of a network: accuracy on slices whose neighbours it has learnt from.

The protocol's label says which level a slice shows, its test slices are drawn at random from the patients that were learnt
from, and it counts right entries of seven, of which five or six are 0 in nearly every slice. See the recipe ``leaky_protocol``.
"""

from collections.abc import Sequence

import keras
import numpy as np

from cspine.evaluation.leaky import LeakyAccuracy, entry_accuracy
from cspine.training.slices.batches import Sample
from cspine.training.slices.fitting import Reporter
from cspine.training.slices.prediction import fracture_of
from cspine.training.slices.settings import Recipe
from cspine.training.slices.stacks import Stack

_SAYS_YES = 0.5


def leaky_accuracy(model: keras.Model, learnt_from: Sequence[Stack], recipe: Recipe, reporter: Reporter) -> LeakyAccuracy | None:
    """The accuracy on the slices that were kept back; ``None`` where the recipe kept none, or no level is known.

    Args:
        model: The network.
        learnt_from: The patients it has learnt from.
        recipe: What it was trained with.
        reporter: Who wants to know.
    """
    wanted, said = [], []
    for number, stack in enumerate(learnt_from, 1):
        sample = Sample.of(stack, recipe)
        tested = np.flatnonzero(sample.kept & (sample.targets.fracture >= 0).all(axis=1))
        if len(tested):
            reporter.say(f"leaky protocol, study {number} of {len(learnt_from)}")
            wanted.append(sample.targets.fracture[tested] >= _SAYS_YES)
            said.append(fracture_of(model, stack, recipe.input, tested.tolist()) >= _SAYS_YES)
    return entry_accuracy(np.concatenate(wanted), np.concatenate(said)) if wanted else None
