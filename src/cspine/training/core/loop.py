"""Epoch after epoch of a network, with a checkpoint from which it goes on exactly where it was killed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import keras
import numpy as np

from cspine.codec import ShapeError, decode
from cspine.errors import TrainingError
from cspine.files import write_text
from cspine.training.core.backend import calculating_in, compiles, prepare_backend, seed_everything
from cspine.training.core.checkpoint import load_arrays, save_arrays, stored_facts
from cspine.training.core.log import BOARD, Board
from cspine.training.core.optimizer import optimizer_of
from cspine.training.slices.fitting import BEST, CHECKPOINT, LOG, Reporter, save_network
from cspine.training.slices.settings import FitSettings

HeldOut = TypeVar("HeldOut")


class Paced(Protocol):
    """What a recipe says about its epochs."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def batches(self) -> int:
        """Batches in an epoch."""
        ...

    @property
    def fit(self) -> FitSettings:
        """How the weights are found."""
        ...

    @property
    def seed(self) -> int:
        """Of weights and batches."""
        ...


class Record(Protocol):
    """One line of a log, a dataclass of numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epoch(self) -> int:
        """Counted from 1."""
        ...

    @property
    def seconds(self) -> float:
        """Training and judging."""
        ...

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Lesson(Generic[HeldOut]):
    """What a network learns, and what it is judged by.

    Attributes:
        build: Makes the network with fresh weights.
        batches: Gives the batches of an epoch, counted from 0, from one of them on.
        held_out: Gives what chooses the epoch.
        judge: What the network does on that, by name.
        loss: What falls, or a loss for each output.
        record: Makes a line of the log of epoch, loss, seconds, and what the judge says.
        weights: Of the losses, where there are several.
    """

    build: Callable[[], keras.Model]
    batches: Callable[[int, int], keras.utils.PyDataset]
    held_out: Callable[[], HeldOut]
    judge: Callable[[keras.Model, HeldOut], dict[str, float]]
    loss: keras.losses.Loss | dict[str, keras.losses.Loss]
    record: type[Any]
    weights: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class _Progress:
    epoch: int = 0
    batch: int = 0
    records: tuple[Record, ...] = field(default=(), repr=False)

    @property
    def best(self) -> Record | None:
        return max(reversed(self.records), key=lambda record: record.score, default=None)


def fit_epochs(recipe: Paced, lesson: Lesson[HeldOut], home: Path, reporter: Reporter) -> None:
    """Trains the network, from its checkpoint on where there is one.

    Writes ``best.keras`` (of the best epoch, and in the end of the last one), ``log.csv``, ``tensorboard`` and ``checkpoint.npz``
    into ``home``.

    Args:
        recipe: What to train.
        lesson: What it learns.
        home: Where it writes.
        reporter: Who wants to know.

    Raises:
        TrainingError: The checkpoint does not fit, or the loss is no number any more.
        OutputError: ``home`` cannot be written.
    """
    prepare_backend(recipe.fit.threads)
    seed_everything(recipe.seed)
    home.mkdir(parents=True, exist_ok=True)
    with calculating_in(recipe.fit.precision.value):
        model = lesson.build()
    optimizer = optimizer_of(recipe.fit, recipe.fit.epochs * recipe.batches)
    model.compile(optimizer, lesson.loss, loss_weights=lesson.weights, jit_compile=compiles())
    model.optimizer.build(model.trainable_variables)
    progress, path = _Progress(), home / CHECKPOINT
    if path.exists():
        load_arrays(path, model)
        progress = _stored(path, recipe.name, lesson)
    reporter.say("what to judge by")
    run = _Run(model, recipe, lesson, lesson.held_out(), home, reporter)
    with Board.in_folder(home / BOARD, progress.epoch) as board:
        while progress.epoch < recipe.fit.epochs:
            progress = _epoch(run, progress)
            board.add(progress.records[-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """All that an epoch touches."""

    model: keras.Model
    recipe: Paced
    lesson: Lesson[Any]
    held_out: Any
    home: Path
    reporter: Reporter


def _epoch(run: _Run, progress: _Progress) -> _Progress:
    begin = time.monotonic()
    batches = run.lesson.batches(progress.epoch, progress.batch)
    loss = run.model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[_Watch(run, progress)]).history["loss"][-1]
    found = run.lesson.judge(run.model, run.held_out)
    seconds = round(time.monotonic() - begin, 1)
    record = run.lesson.record(epoch=progress.epoch + 1, loss=float(loss), **found, seconds=seconds)
    progress = _Progress(progress.epoch + 1, 0, (*progress.records, record))
    if progress.best is record or progress.epoch == run.recipe.fit.epochs:
        # at the end the rate has fallen to nothing, which says more than a few held-out windows that are bent out of shape
        save_network(run.home / BEST, run.model)
    save_arrays(run.home / CHECKPOINT, run.model, asdict(progress))
    write_text(run.home / LOG, _log(progress.records))
    told = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
    run.reporter.warn(f"epoch {record.epoch}/{run.recipe.fit.epochs}  loss {loss:.3f}  {told}  {record.seconds:.0f} s")
    return progress


class _Watch(keras.callbacks.Callback):
    """Reports and saves while an epoch is under way."""

    def __init__(self, run: _Run, progress: _Progress) -> None:
        super().__init__()
        self._run, self._progress = run, progress
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done, of = self._progress.batch + batch + 1, self._run.recipe.batches
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            raise TrainingError("The loss is no number any more. Train with a lower fit.learning_rate.")
        self._run.reporter.batch(done, of, {"loss": loss})
        if done < of and time.monotonic() - self._saved >= 60 * self._run.recipe.fit.checkpoint_minutes:
            save_arrays(self._run.home / CHECKPOINT, self.model, asdict(replace(self._progress, batch=done)))
            self._saved = time.monotonic()


def _stored(path: Path, name: str, lesson: Lesson[Any]) -> _Progress:
    facts = stored_facts(path)
    try:
        records = tuple(decode(lesson.record, record, "record") for record in facts["records"])
        return _Progress(facts["epoch"], facts["batch"], records)
    except ShapeError as error:
        raise TrainingError(f"The checkpoint {path} does not belong to a {name}. Train again into a new folder.") from error


def _log(records: Sequence[Record]) -> str:
    names = [item.name for item in fields(records[0])]
    rows = [asdict(record) for record in records]
    return "\n".join([",".join(names), *(",".join(f"{row[name]:.6g}" for name in names) for row in rows)]) + "\n"
