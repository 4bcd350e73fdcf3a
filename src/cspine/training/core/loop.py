"""The one training loop: epoch after epoch, with a checkpoint from which it goes on exactly where it was killed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

import keras
import numpy as np

from cspine.errors import TrainingError
from cspine.storage.files import replacing_file, write_text
from cspine.training.core.backend import (
    build_losses,
    calculating_in,
    compiles,
    prepare_backend,
    ran_out_of_memory,
    seed_everything,
)
from cspine.training.core.checkpoint import EpochRecord, Progress, load_checkpoint, save_checkpoint, stored_progress
from cspine.training.core.interruption import Interruption
from cspine.training.core.last_step import LastStep
from cspine.training.core.log import TENSORBOARD, Curves, Reporter, log_csv
from cspine.training.core.runs import BEST, CHECKPOINT, HELD_OUT, LAST, LOG
from cspine.training.core.settings import FitSettings

HeldOut = TypeVar("HeldOut")

_SCORES = "scores.csv"
"""What the network that is kept so far says about held-out patients; becomes :data:`HELD_OUT` when training has ended."""


class Keep(StrEnum):
    """Says which epoch's network a run keeps, by the name of its file."""

    BEST = BEST
    """The one with the best score on held-out patients."""

    LAST = LAST
    """The last, once training has ended: the rate has fallen to nothing by then, which says more than a few held-out data do."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training, with an optimiser and a schedule of its own.

    Attributes:
        epochs: How many.
        rate: Factor of the learning rate.
        prepare: Sets which layers are trained.
    """

    epochs: int
    rate: float = 1.0
    prepare: Callable[[keras.Model], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Validation:
    """Holds what a network does on held-out data.

    Attributes:
        metrics: By name; NaN where one cannot be told.
        score: What the best epoch is chosen by; NaN where that is not known.
        scores_csv: Scores of held-out patients as a table, where there are such.
    """

    metrics: dict[str, float]
    score: float
    scores_csv: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask(Generic[HeldOut]):
    """Holds what a network is trained on, and what it is validated on.

    Attributes:
        build: Makes the network with its initial weights.
        batches: Gives the batches of an epoch, counted from 0, from one of them on.
        losses: Loss of each output, or of the only one.
        weights: Of the losses, where there are several.
        held_out: Gives what the network is validated on.
        validate: What the network does on that.
        keep: Which epoch's network is kept.
        stages: Stretches of training, one after the other; all epochs alike if empty.
        served: Gives the network that is validated and kept, with the trained weights: the same one unless it learns from
            parts of what it serves on.
        pretrain: Puts pretrained weights into a network that has no checkpoint yet.
    """

    build: Callable[[], keras.Model]
    batches: Callable[[int, int], keras.utils.PyDataset]
    losses: keras.losses.Loss | dict[str, keras.losses.Loss]
    held_out: Callable[[], HeldOut]
    validate: Callable[[keras.Model, HeldOut], Validation]
    weights: dict[str, float] | None = None
    keep: Keep = Keep.LAST
    stages: Sequence[Stage] = ()
    served: Callable[[keras.Model], keras.Model] = lambda model: model
    pretrain: Callable[[keras.Model], None] = lambda _: None


def train_network(task: TrainingTask[HeldOut], settings: FitSettings, seed: int, home: Path, reporter: Reporter) -> None:
    """Trains one network, from its checkpoint on where there is one.

    Writes ``best.keras`` or ``last.keras``, ``log.csv``, ``tensorboard``, ``checkpoint.npz`` and, where patients are held out,
    ``held_out.csv`` into ``home``.

    Args:
        task: What the network is trained for.
        settings: How.
        seed: Of Python, numpy and the framework; the task has its own.
        home: Where it writes.
        reporter: Who wants to know.

    Raises:
        TrainingError: The checkpoint does not fit, or the loss is NaN.
        OutputError: ``home`` cannot be written.
    """
    prepare_backend(settings.threads)
    seed_everything(seed)
    home.mkdir(parents=True, exist_ok=True)
    with calculating_in(settings.precision.value):
        model = task.build()
    progress, path = Progress(), home / CHECKPOINT
    if path.exists():
        progress = stored_progress(path)
    enter_stage(model, task, settings, stage_at(task, settings, progress.epoch))
    if path.exists():
        load_checkpoint(path, model)
    else:
        task.pretrain(model)
    if not progress.done:
        reporter.say("preparing held-out data")
        loop = _Loop(model, task, settings, task.held_out(), home, reporter)
        with Curves.in_folder(home / TENSORBOARD, progress.epoch) as curves:
            while not progress.done:
                progress = _epoch(loop, progress)
                curves.add(progress.records[-1])
    write_text(home / LOG, log_csv(progress.records))
    if (home / _SCORES).exists():
        (home / _SCORES).replace(home / HELD_OUT)
    if task.keep is Keep.LAST and not (home / LAST).exists():  # last of all: it says that training has ended
        _save_network(home / LAST, task.served(model))


def compiled(task: TrainingTask[Any], settings: FitSettings, stage: int = 0) -> keras.Model:
    """Returns the network of a task, ready for a stage, by default the first; -1 is the last."""
    with calculating_in(settings.precision.value):
        model = task.build()
    enter_stage(model, task, settings, stage % len(_stages(task, settings)))
    return model


def enter_stage(model: keras.Model, task: TrainingTask[Any], settings: FitSettings, number: int) -> None:
    """Sets what is trained in a stage, with a fresh optimiser that is all in place."""
    stage, ends = _stages(task, settings)[number], _ends(task, settings)
    stage.prepare(model)
    begin = ends[number - 1] if number else 0
    steps = max(1, min(ends[number], settings.epochs) - begin) * settings.batches
    model.compile(optimizer_of(settings, steps, stage.rate), task.losses, loss_weights=task.weights, jit_compile=compiles())
    model.optimizer.build(model.trainable_variables)
    build_losses(model, task.losses)


def stage_at(task: TrainingTask[Any], settings: FitSettings, epoch: int) -> int:
    """Returns the number of the stage to which an epoch belongs, epochs counted from 0."""
    ends = _ends(task, settings)
    return next((number for number, end in enumerate(ends) if epoch < end), len(ends) - 1)


def advanced(progress: Progress, record: EpochRecord, task: TrainingTask[Any], settings: FitSettings) -> Progress:
    """Returns progress after an epoch: training ends with the last, or in its last stage when the best is too long ago."""
    later = Progress(progress.epoch + 1, 0, (*progress.records, record))
    ends = _ends(task, settings)
    last_begins = min(ends[-2], settings.epochs) if len(ends) > 1 else 0
    best = max(later.best.epoch if later.best else 0, last_begins)
    tired = settings.patience > 0 and record.epoch - best >= settings.patience
    return replace(later, done=later.epoch >= settings.epochs or tired)


def optimizer_of(settings: FitSettings, steps: int, factor: float = 1.0) -> keras.optimizers.Optimizer:
    """Returns AdamW (Loshchilov and Hutter, 2019) with a short warm-up and a cosine down to nothing.

    Args:
        settings: Learning rate and weight decay.
        steps: How many there will be.
        factor: Of the learning rate.
    """
    steps = max(1, steps)
    warm, rate = max(1, steps // 20), settings.learning_rate * factor
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 100, max(1, steps - warm), alpha=0.0, warmup_target=rate, warmup_steps=warm
    )
    return adamw(schedule, settings.weight_decay)


def adamw(learning_rate: Any, weight_decay: float) -> keras.optimizers.Optimizer:
    """Returns AdamW with clipped gradients; biases and normalisation do not decay.

    Args:
        learning_rate: A number, or a schedule of Keras.
        weight_decay: Of all else.
    """
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay, global_clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


@dataclass(frozen=True, slots=True, eq=False)
class _Loop:
    """All that an epoch touches."""

    model: keras.Model
    task: TrainingTask[Any]
    settings: FitSettings
    held_out: Any
    home: Path
    reporter: Reporter


def _epoch(loop: _Loop, progress: Progress) -> Progress:
    """Trains one epoch, or what is left of it, validates, saves."""
    task, settings, model, begin = loop.task, loop.settings, loop.model, time.monotonic()
    loop.reporter.begins(loop.home, progress.epoch + 1, settings)
    batches = task.batches(progress.epoch, progress.batch)
    last = LastStep(loop.home / CHECKPOINT, loop.reporter)
    with Interruption(last.save) as interruption:
        watch = _Watch(loop, progress, interruption, last)
        with _naming_full_memory(settings):
            history = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[watch]).history
    served = task.served(model)
    found = task.validate(served, loop.held_out)
    losses = {name: float(values[-1]) for name, values in history.items()}
    record = EpochRecord(
        epoch=progress.epoch + 1,
        loss=losses["loss"],
        losses={name.removesuffix("_loss"): value for name, value in losses.items() if name != "loss"},
        metrics=found.metrics,
        score=found.score,
        learning_rate=float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        seconds=round(time.monotonic() - begin, 1),
    )
    stage = stage_at(task, settings, progress.epoch)
    progress = advanced(progress, record, task, settings)
    if task.keep is Keep.BEST and progress.best is record:
        _save_network(loop.home / BEST, served)
    if found.scores_csv is not None and (progress.done if task.keep is Keep.LAST else progress.best is record):
        write_text(loop.home / _SCORES, found.scores_csv)
    if stage_at(task, settings, progress.epoch) != stage:  # before the checkpoint, which holds the optimiser of what follows
        enter_stage(model, task, settings, stage_at(task, settings, progress.epoch))
    save_checkpoint(loop.home / CHECKPOINT, model, progress)
    write_text(loop.home / LOG, log_csv(progress.records))
    loop.reporter.epoch(record, settings.epochs, loop.home)
    interruption.check()  # of the last batch: the epoch is finished first
    return progress


@contextmanager
def _naming_full_memory(settings: FitSettings) -> Iterator[None]:
    """Tells in one line that the steps within do not fit into memory."""
    try:
        yield
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        raise TrainingError(
            f"A step of {settings.batch} examples does not fit into the memory of the device. Start a new run with a smaller "
            "fit.batch or patches.batch, or with fit.batch=auto."
        ) from error


def _save_network(path: Path, network: keras.Model) -> None:
    with replacing_file(path) as made:
        keras.saving.save_model(network, made, include_optimizer=False)


class _Watch(keras.callbacks.Callback):
    """Reports and saves while an epoch is under way."""

    def __init__(self, loop: _Loop, progress: Progress, interruption: Interruption, last: LastStep) -> None:
        super().__init__()
        self._loop, self._progress, self._interruption, self._last = loop, progress, interruption, last
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        settings = self._loop.settings
        done, of = self._progress.batch + batch + 1, settings.batches
        losses = {name: float(value) for name, value in (logs or {}).items()}
        if not np.isfinite(losses["loss"]):
            raise TrainingError("The loss is NaN or infinite. Train with a lower fit.learning_rate.")
        self._loop.reporter.batch(done, of, losses)
        due = time.monotonic() - self._saved >= 60 * settings.checkpoint_minutes
        if self._interruption.asked:
            self._interruption.settle()
        elif done < of:
            self._last.keep(self.model, replace(self._progress, batch=done))
        if done < of and (due or self._interruption.asked):
            save_checkpoint(self._loop.home / CHECKPOINT, self.model, replace(self._progress, batch=done))
            self._saved = time.monotonic()
            self._interruption.check()


def _stages(task: TrainingTask[Any], settings: FitSettings) -> Sequence[Stage]:
    return task.stages or (Stage(settings.epochs),)


def _ends(task: TrainingTask[Any], settings: FitSettings) -> list[int]:
    """Returns the epoch after the last of each stage; the last stage takes what is left."""
    ends, end = [], 0
    for stage in _stages(task, settings)[:-1]:
        end += stage.epochs
        ends.append(end)
    return [*ends, max(end + 1, settings.epochs)]
