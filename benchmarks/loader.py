"""Measures whether batches come as fast as the network is trained on them.

``python -m benchmarks.loader RECIPE --data DIR`` prepares some studies and times three things on them: batches alone, steps alone
on one batch that is at hand, and an epoch as training runs it. What an epoch takes longer than its steps is waiting: for batches
that are not ready, or for the processor, where that makes batches too. How many times a step takes what its batch takes says how
much faster a device may be before one loading thread no longer keeps up. Settings as for ``cspine train``: ``--set fit.workers=2``.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.cli.screen import Screen
from cspine.datasets import Case, read_dataset
from cspine.errors import UsageError
from cspine.recipes import load_recipe
from cspine.training.core.backend import prepare_backend, software
from cspine.training.core.finding import Finder
from cspine.training.core.loop import TrainingTask, compiled
from cspine.training.core.settings import Recipe, parse_assignments, with_settings
from cspine.training.slices.family import SliceFold, slice_task
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import prepare_stacks
from cspine.training.vertebrae.crops import Cutting, prepare_crops
from cspine.training.vertebrae.family import VertebraFold, vertebra_task
from cspine.training.vertebrae.settings import VertebraRecipe


def main() -> None:
    """Prints one table."""
    options = _arguments()
    changes = parse_assignments([f"fit.batches={options.steps}", *options.set])
    recipe = with_settings(load_recipe(options.recipe), changes)
    prepare_backend(recipe.fit.threads)
    cases = read_dataset(options.data).cases[: options.studies]
    with tempfile.TemporaryDirectory() as folder:
        _report(recipe, task_of(recipe, cases, options.cache or Path(folder)), len(cases))


def task_of(recipe: Recipe, cases: Sequence[Case], cache: Path) -> TrainingTask[Any]:
    """Returns what a network learns from some studies, all of them in its training set.

    Raises:
        UsageError: The recipe is neither of slice networks nor of vertebra classifiers.
    """
    if isinstance(recipe, SliceRecipe):
        return slice_task(recipe, SliceFold(0, prepare_stacks(cases, recipe.input, cache), []), Screen())
    if isinstance(recipe, VertebraRecipe):
        crops = prepare_crops(cases, Cutting(recipe, Finder.MASK, turn=1), cache)
        return vertebra_task(recipe, VertebraFold(0, crops, []), lambda: recipe.network.build(recipe.input, seed=0))
    raise UsageError(f"A recipe that learns from studies is needed. {recipe.name} makes its necks itself.")


def _report(recipe: Recipe, task: TrainingTask[Any], studies: int) -> None:
    model = compiled(task, recipe.fit)
    batches = task.batches(0, 0)
    images, targets = batches[0]
    count = slices_in(images)

    loading = _timed(lambda i: batches[i], len(batches))
    model.train_on_batch(images, targets)  # traces
    step = _timed(lambda _: model.train_on_batch(images, targets), len(batches))
    model.fit(task.batches(1, 0), epochs=1, verbose=0)  # traces
    ends: list[Moment] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(Moment.now()))  # noqa: ARG005
    model.fit(task.batches(2, 0), epochs=1, shuffle=False, verbose=0, callbacks=[watch])
    together = Moment.between(pairwise(ends))

    print(f"{recipe.name}, {recipe.fit.precision.value}, {software()}")
    print(
        f"{studies} studies, batches of {count} slices, {recipe.fit.workers} loading and {recipe.fit.threads} computing thread(s)"
    )
    for name, taken in (("batches alone", loading), ("steps alone", step), ("an epoch", together)):
        rate = count / taken.seconds
        print(f"{name:<14}{1e3 * taken.seconds:9.1f} ms a batch{1e3 * taken.busy:9.1f} ms of processors{rate:9.1f} slices/s")
    print(f"an epoch waits {max(0.0, 1 - step.seconds / together.seconds):.1%} of its time")
    print(f"a step takes {step.busy / loading.busy:.1f} times the processor time of its batch")


def slices_in(images: NDArray[np.float32]) -> int:
    """Returns how many slices a batch holds; each is rows, columns and channels."""
    return math.prod(images.shape[:-3])


@dataclass(frozen=True)
class Moment:
    """Holds seconds on the clock and of processors for this process; others on the machine slow the first only."""

    seconds: float
    busy: float

    @classmethod
    def now(cls) -> "Moment":
        """Returns the present moment."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def between(cls, moments: Iterable[tuple["Moment", "Moment"]]) -> "Moment":
        """Returns the median distance."""
        pairs = list(moments)
        return cls(
            statistics.median(later.seconds - sooner.seconds for sooner, later in pairs),
            statistics.median(later.busy - sooner.busy for sooner, later in pairs),
        )


def _timed(act: Callable[[int], object], times: int) -> Moment:
    pairs = []
    for number in range(times):
        begin = Moment.now()
        act(number)
        pairs.append((begin, Moment.now()))
    return Moment.between(pairs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="one that `cspine recipes` lists")
    parser.add_argument("--data", type=Path, required=True, help="data set folder")
    parser.add_argument("--studies", type=int, default=12, help="how many studies of it (default: 12)")
    parser.add_argument("--steps", type=int, default=30, help="steps of each kind (default: 30)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes a setting of the recipe")
    parser.add_argument("--cache", type=Path, help="where prepared studies are kept (default: nowhere)")
    return parser.parse_args()


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    main()
