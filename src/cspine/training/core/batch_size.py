"""Finds the largest batch that a GPU holds: tries steps of batches twice as large until the framework runs out of memory."""

import math
from typing import Any, Protocol, TypeVar, runtime_checkable

import keras
import numpy as np

from cspine.datasets import Case
from cspine.errors import TrainingError, UsageError
from cspine.training.core.backend import accelerator, free_memory, prepare_backend, ran_out_of_memory
from cspine.training.core.family import Family, TrainingPlace, cases_to_train
from cspine.training.core.log import Reporter
from cspine.training.core.loop import TrainingTask, compiled
from cspine.training.core.runs import BatchSearch, Run, with_facts
from cspine.training.core.settings import FitSettings, Recipe, as_started, settings

LARGEST = 16
"""How many times as large as the recipe's a batch becomes at most: each doubling halves the steps that are left to learn in."""

_STUDIES = 4
_STEPS = 2

R = TypeVar("R", bound=Recipe)


@runtime_checkable
class TriesBatches(Protocol):
    """A family that returns what its networks learn from a few studies, so that steps of it can be tried."""

    def trial_task(self, cases: tuple[Case, ...], place: TrainingPlace, reporter: Reporter) -> TrainingTask[Any]:
        """Returns what a network learns in the last part of training, from a few studies, in batches of the recipe's size.

        Args:
            cases: The studies, those with masks first; none where the family makes its necks itself.
            place: Where studies and their cache lie.
            reporter: Receives the progress.

        Raises:
            InputError: A study cannot be read.
        """
        ...


def check_accelerator() -> str:
    """Returns the name of the accelerator that batches are tried on.

    Raises:
        UsageError: There is none.
    """
    name = accelerator()
    if name is None:
        raise UsageError(
            f"fit.batch=auto fills the memory of a GPU, and {keras.backend.backend()} sees none (`cspine doctor`). "
            "Give a number: on a processor larger batches are no faster, and one that is too large ends the process."
        )
    return name


def search_batch(family: Family[Any], run: Run, place: TrainingPlace, devices: int, reporter: Reporter) -> Run:
    """Returns the run with the largest batch that fits, and with the steps and rates that go with it, in ``run.json`` too.

    Args:
        family: What the run was started with.
        run: The run; it has not been trained yet.
        place: Where its data lie.
        devices: How many share each batch.
        reporter: Receives the progress.

    Raises:
        UsageError: There is no GPU, or the family cannot try batches.
        TrainingError: Not even the smallest batch fits.
        InputError: A study cannot be read.
        OutputError: ``run.json`` cannot be written.
    """
    device, recipe = check_accelerator(), family.recipe
    if not isinstance(family, TriesBatches):
        raise UsageError(f"fit.batch=auto needs a family that can try batches. That of {recipe.name} cannot; give a number.")
    prepare_backend(recipe.fit.threads)
    cases = sorted(
        cases_to_train(run, place, run.fold_numbers[:1]), key=lambda case: (case.mask is None, not any(case.fractured or ()))
    )
    task = family.trial_task(tuple(cases[:_STUDIES]), place, reporter)
    found, refused = largest_batch(task, recipe.fit, devices, reporter)
    fitted = with_batch(recipe, found)
    search = BatchSearch(recipe.fit.batch, found, refused, device)
    reporter.warn(_message(settings(recipe), settings(fitted), search))
    return with_facts(run, settings=settings(fitted), batch_search=search)


def largest_batch(task: TrainingTask[Any], fit: FitSettings, devices: int, reporter: Reporter) -> tuple[int, int | None]:
    """Returns the largest batch that fits, and the smallest of those tried that does not; ``None`` where all did.

    Batches are the recipe's times a power of two: doubled while they fit, up to :data:`LARGEST` times; where the recipe's own
    does not fit, halved until one does.

    Raises:
        TrainingError: Not even the smallest fits.
    """
    batch, refused = fit.batch, None
    while not _fits(task, fit, batch, reporter):
        refused = batch
        if batch % (2 * devices):
            raise TrainingError(
                f"The memory of the device is too small for a step of {batch}, the smallest batch of fit.batch=auto. "
                "Train a smaller network, or with a smaller input."
            )
        batch //= 2
    while refused is None and 2 * batch <= LARGEST * fit.batch:
        if _fits(task, fit, 2 * batch, reporter):
            batch *= 2
        else:
            refused = 2 * batch
    return batch, refused


def with_batch(recipe: R, batch: int) -> R:
    """Returns the recipe with another batch: epochs of as many examples, and learning rates that go with the batch.

    Rates are multiplied by the square root of what the batch is multiplied by, as suits Adam (Malladi et al., 2022).
    """
    factor, known, idle = batch / recipe.fit.batch, settings(recipe), recipe.idle(on_data=True)
    changed = {"fit.batch": str(batch), "fit.batches": str(max(1, math.ceil(recipe.fit.batches / factor)))}
    for rate in ("fit.learning_rate", "heads.learning_rate"):  # heads learn from the same batches
        if rate in known and rate not in idle:
            changed[rate] = f"{float(known[rate]) * math.sqrt(factor):.6g}"
    return as_started(recipe, known | changed)


def _fits(task: TrainingTask[Any], fit: FitSettings, batch: int, reporter: Reporter) -> bool:
    """Returns whether steps of a batch find room, with all layers learning that will."""
    reporter.say(f"trying batches of {batch}")
    try:
        _step(task, fit, batch)
    except Exception as error:  # every framework has its own
        if not ran_out_of_memory(error):
            raise
        return False
    finally:
        free_memory()
    return True


def _step(task: TrainingTask[Any], fit: FitSettings, batch: int) -> None:
    model = compiled(task, fit, stage=-1)
    history = model.fit(_Repeated(task.batches(0, 0)[0], batch), epochs=1, shuffle=False, verbose=0).history
    float(history["loss"][-1])  # JAX calculates when the value is needed, and fails then


class _Repeated(keras.utils.PyDataset):
    """A few batches of any size, of the examples of one."""

    def __init__(self, examples: tuple[Any, Any], size: int) -> None:
        super().__init__()
        self._batch = keras.tree.map_structure(lambda array: np.resize(array, (size, *array.shape[1:])), examples)

    def __len__(self) -> int:
        return _STEPS

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._batch


def _message(before: dict[str, str], after: dict[str, str], search: BatchSearch) -> str:
    changed = ", ".join(f"{key} {before[key]} -> {after[key]}" for key in before if before[key] != after[key])
    return f"{search.sentence()} {changed or 'No setting changes'}."
