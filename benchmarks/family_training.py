"""Trains, calibrates and evaluates a row of the table of families by the commands of cspine."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from benchmarks import command
from benchmarks.family_rows import CALIBRATED, LEAKY, TRAINING_SET, UNSEEN, Place, Row
from benchmarks.speed.counting import exported, multiplications
from cspine.datasets import read_dataset
from cspine.evaluation.leaky import LeakyAccuracy, entry_accuracy
from cspine.networks.loading import load_network
from cspine.recipes import load_slice_recipe
from cspine.storage.files import write_text
from cspine.training.core.backend import calculating_in
from cspine.training.core.runs import CALIBRATION, HELD_OUT, open_run
from cspine.training.core.settings import as_started
from cspine.training.slices.batches import TrainingStudy
from cspine.training.slices.prediction import slice_outputs
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack, prepare_stacks

_POSITIVE = 0.5

_STEP = 12
"""One slice in so many is counted: its neighbours show the same."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Holds what commands took.

    Attributes:
        seconds: On the clock, which others on the machine stretch.
        busy: Of the processor.
    """

    seconds: float
    busy: float

    @classmethod
    def of(cls, place: Place, row: Row) -> "Spent":
        """Returns what training a row took; nothing where that is not known."""
        path = place.spent(row)
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls(0, 0)


@dataclass(frozen=True, slots=True)
class Size:
    """Holds how large a network is.

    Attributes:
        weights: How many it has.
        multiplications: For one slice, in convolutions and matrix products.
    """

    weights: int
    multiplications: int

    @classmethod
    def of(cls, model: keras.Model) -> "Size":
        """Returns that of a network of slices, as it is served."""
        return cls(model.count_params(), multiplications(exported(model), (1, *model.input_shape[1:])))


def train_row(place: Place, row: Row) -> None:
    """Trains a row, or what is left to do of it."""
    folder = place.runs / row.name
    if (folder / "fold-0" / HELD_OUT).is_file():
        return
    resumed = (folder / "run.json").is_file()
    words = ["train", row.recipe, "--resume"] if resumed else place.command(row)
    _timed(place, row, [*words, "--data", str(place.out / TRAINING_SET[0]), "-o", str(folder), *place.cache])


def evaluate_row(place: Place, row: Row) -> None:
    """Calibrates a row and evaluates it on unseen studies; that of the leaky protocol also as that protocol does."""
    folder, evaluated = place.runs / row.name, place.evaluated(row)
    how = (*place.cache, "--precision", place.precision.value)
    if not (folder / "fold-0" / CALIBRATION).is_file():
        command.run("calibrate", str(folder), "--data", str(place.out / CALIBRATED[0]), *how)
    if not (evaluated / "evaluation.csv").is_file():
        command.run("evaluate", str(folder), "--data", str(place.out / UNSEEN[0]), "-o", str(evaluated), *how)
    if not place.entries(row).is_file():
        write_text(place.entries(row), json.dumps(asdict(_unseen_entries(place, row))) + "\n")
    if not place.size(row).is_file():
        write_text(place.size(row), json.dumps(asdict(_size(place, row))) + "\n")
    own = evaluated.with_name(f"{row.name}_itself")
    if row.name == LEAKY and not (own / "evaluation.csv").is_file():
        command.run("evaluate", str(folder), "--data", str(place.out / TRAINING_SET[0]), "-o", str(own), "--no-localisation", *how)


def _size(place: Place, row: Row) -> Size:
    return Size.of(load_network(open_run(place.runs / row.name).network(0)))


def _unseen_entries(place: Place, row: Row) -> LeakyAccuracy:
    run = open_run(place.runs / row.name)
    recipe = as_started(load_slice_recipe(row.recipe), run.facts.settings)
    stacks = prepare_stacks(read_dataset(place.out / UNSEEN[0]).cases, recipe.input, Path(place.cache[1]))
    with calculating_in(place.precision.value):
        return entries_of(load_network(run.network(0)), stacks, recipe)


def entries_of(model: keras.Model, stacks: Sequence[SliceStack], recipe: SliceRecipe, step: int = _STEP) -> LeakyAccuracy:
    """Returns the share of right entries, at a probability of 0.5, and that of saying that nothing is there.

    Of one slice in ``step``.
    """
    wanted = [TrainingStudy.of(stack, recipe).targets.fracture[::step] for stack in stacks]
    predicted = [slice_outputs(model, stack, recipe.input, step)[0] for stack in stacks]
    return entry_accuracy(np.concatenate(wanted) >= _POSITIVE, np.concatenate(predicted) >= _POSITIVE)


def _timed(place: Place, row: Row, words: Sequence[str]) -> None:
    """Adds what training takes to what was taken before; nothing is known of a command that was killed with this script."""
    before = Spent.of(place, row)
    begin, busy = time.monotonic(), time.process_time()
    command.run(*words)
    spent = Spent(before.seconds + time.monotonic() - begin, before.busy + time.process_time() - busy)
    write_text(place.spent(row), json.dumps(asdict(spent)) + "\n")
