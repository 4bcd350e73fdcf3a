"""Measures whether batches come as fast as the network is trained on them.

``python -m benchmarks.loader RECIPE --data DIR`` prepares some studies and times three things on them: batches alone, steps alone
on one batch that is at hand, and an epoch as training runs it. What an epoch takes longer than its steps is waiting: for batches
that are not ready, or for the processor, where that makes batches too. Settings as for ``cspine train``: ``--set fit.workers=2``.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import keras

from cspine.cli.screen import Screen
from cspine.datasets import read_dataset
from cspine.recipes import load_slice_recipe
from cspine.training.core.backend import prepare_backend, software
from cspine.training.core.loop import compiled
from cspine.training.core.settings import parse_assignments, with_settings
from cspine.training.slices.family import SliceFold, slice_task
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack, prepare_stacks


def main() -> None:
    """Prints one table."""
    options = _arguments()
    changes = parse_assignments([f"fit.batches={options.steps}", *options.set])
    recipe = with_settings(load_slice_recipe(options.recipe), changes)
    prepare_backend(recipe.fit.threads)
    with tempfile.TemporaryDirectory() as folder:
        stacks = prepare_stacks(read_dataset(options.data).cases[: options.studies], recipe.input, options.cache or Path(folder))
        _report(recipe, stacks)


def _report(recipe: SliceRecipe, stacks: list[SliceStack]) -> None:
    task = slice_task(recipe, SliceFold(0, stacks, []), Screen())
    model = compiled(task, recipe.fit)
    count, batches = recipe.fit.batch, task.batches(0, 0)
    images, targets = batches[0]

    loading = _timed(lambda i: batches[i], len(batches))
    model.train_on_batch(images, targets)  # traces
    step = _timed(lambda _: model.train_on_batch(images, targets), len(batches))
    model.fit(task.batches(1, 0), epochs=1, verbose=0)  # traces
    ends: list[Moment] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(Moment.now()))  # noqa: ARG005
    model.fit(task.batches(2, 0), epochs=1, shuffle=False, verbose=0, callbacks=[watch])
    together = Moment.between(pairwise(ends))

    print(f"{recipe.name}, {recipe.fit.precision.value}, {software()}")
    print(f"{len(stacks)} studies, batches of {count}, {recipe.fit.workers} loading and {recipe.fit.threads} computing thread(s)")
    for name, taken in (("batches alone", loading), ("steps alone", step), ("an epoch", together)):
        rate = count / taken.seconds
        print(f"{name:<14}{1e3 * taken.seconds:9.1f} ms a batch{1e3 * taken.busy:9.1f} ms of processors{rate:9.1f} samples/s")
    print(f"an epoch waits {max(0.0, 1 - step.seconds / together.seconds):.1%} of its time")


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
