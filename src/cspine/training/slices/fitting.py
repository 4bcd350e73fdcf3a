"""Finding the weights of one network: epochs, held-out patients, checkpoints, exact resume."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import keras

from cspine.errors import TrainingError
from cspine.evaluation.metrics import auroc, mean_level_auroc
from cspine.files import replacing_file, write_text
from cspine.specs import SliceSpec
from cspine.training.core.backend import calculating_in, prepare_backend, seed_everything
from cspine.training.core.checkpoint import EpochRecord, Progress, load_checkpoint, save_checkpoint, stored_progress
from cspine.training.core.log import BOARD, Board
from cspine.training.slices.batches import Sample, SliceBatches
from cspine.training.slices.prediction import all_slice_outputs, slice_auroc, study_scores
from cspine.training.slices.settings import Recipe
from cspine.training.slices.stacks import Stack
from cspine.training.slices.stages import enter_stage, last_stage_begins, stage_at

CHECKPOINT, BEST, LOG, HELD_OUT = "checkpoint.npz", "best.keras", "log.csv", "held_out.csv"

_BEST_SCORES = "best.csv"
"""What the best network so far says about the held-out patients; becomes :data:`HELD_OUT` when training has ended."""


class Reporter(Protocol):
    """Somebody who wants to know how training goes."""

    def say(self, text: str) -> None:
        """What is being done."""
        ...

    def warn(self, text: str) -> None:
        """What is left out."""
        ...

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """A batch of the epoch under way was done."""
        ...

    def epoch(self, record: EpochRecord, of: int) -> None:
        """An epoch was done."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FoldData:
    """The patients of one fold.

    Attributes:
        number: Which patients are held out.
        learnt_from: The others.
        held_out: These.
    """

    number: int
    learnt_from: Sequence[Sample]
    held_out: Sequence[Stack]


def fit(recipe: Recipe, data: FoldData, home: Path, reporter: Reporter) -> None:
    """Trains one network, from its checkpoint on where there is one.

    Writes ``best.keras``, ``log.csv``, ``tensorboard``, ``held_out.csv`` and ``checkpoint.npz`` into ``home``.

    Raises:
        TrainingError: The checkpoint does not fit, or the loss is no number any more.
        OutputError: ``home`` cannot be written.
    """
    prepare_backend(recipe.fit.threads)
    seed_everything(recipe.seed)
    home.mkdir(parents=True, exist_ok=True)
    model, progress = _begun(recipe, data, home / CHECKPOINT)
    trained = _Network(model, model if recipe.learnt_input == recipe.input else _fresh(recipe, data.number, recipe.input))
    with Board.in_folder(home / BOARD, progress.epoch) as board:
        while not progress.done:
            progress = _epoch(trained, recipe, data, home, progress, reporter)
            board.add(progress.records[-1])
    _write_log(home / LOG, progress)
    if (home / _BEST_SCORES).exists():
        (home / _BEST_SCORES).replace(home / HELD_OUT)


def compiled(recipe: Recipe, fold: int) -> keras.Model:
    """The network of a recipe as it learns, ready for the first stage of training."""
    model = _fresh(recipe, fold, recipe.learnt_input)
    enter_stage(model, recipe, 0)
    return model


def _fresh(recipe: Recipe, fold: int, spec: SliceSpec) -> keras.Model:
    with calculating_in(recipe.fit.precision.value):
        return recipe.network.build(spec, seed=recipe.seed * 100 + fold)


@dataclass(frozen=True, slots=True, eq=False)
class _Network:
    """A network as it learns, from slices or from parts of them, and as it serves, on whole slices."""

    learner: keras.Model
    server: keras.Model

    def served(self) -> keras.Model:
        """The network that serves, with what was learnt so far."""
        if self.server is not self.learner:
            self.server.set_weights(self.learner.get_weights())
        return self.server


def _begun(recipe: Recipe, data: FoldData, path: Path) -> tuple[keras.Model, Progress]:
    """The network as it was when its checkpoint was written; as it is before training, where there is none."""
    model = _fresh(recipe, data.number, recipe.learnt_input)
    progress = stored_progress(path) if path.exists() else Progress()
    enter_stage(model, recipe, stage_at(recipe, progress.epoch))
    if path.exists():
        return model, load_checkpoint(path, model)
    recipe.network.pretrain(model)
    return model, progress


class _Watch(keras.callbacks.Callback):
    """Reports and saves while an epoch is under way."""

    def __init__(self, path: Path, progress: Progress, recipe: Recipe, reporter: Reporter) -> None:
        super().__init__()
        self._path, self._progress, self._recipe, self._reporter = path, progress, recipe, reporter
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done, of = self._progress.batch + batch + 1, self._recipe.sampling.batches
        losses = {name: float(value) for name, value in (logs or {}).items()}
        if losses["loss"] != losses["loss"]:
            raise TrainingError("The loss is no number any more. Train with a lower fit.learning_rate.")
        self._reporter.batch(done, of, losses)
        if done < of and time.monotonic() - self._saved >= 60 * self._recipe.fit.checkpoint_minutes:
            save_checkpoint(self._path, self.model, replace(self._progress, batch=done))
            self._saved = time.monotonic()


def _epoch(trained: _Network, recipe: Recipe, data: FoldData, home: Path, progress: Progress, reporter: Reporter) -> Progress:
    """Trains one epoch, or what is left of it, judges held-out patients, saves."""
    begin = time.monotonic()
    batches = SliceBatches(data.learnt_from, recipe, progress.epoch, progress.batch, data.number)
    watch = _Watch(home / CHECKPOINT, progress, recipe, reporter)
    model = trained.learner
    history = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[watch]).history
    outputs = all_slice_outputs(trained.served(), data.held_out, recipe.input, reporter.say)
    scores = study_scores(data.held_out, outputs)
    losses = {name: float(values[-1]) for name, values in history.items()}
    record = EpochRecord(
        epoch=progress.epoch + 1,
        loss=losses["loss"],
        fracture_loss=losses["fracture_loss"],
        visible_loss=losses["visible_loss"],
        level_map_loss=losses["level_map_loss"],
        maps_loss=losses.get("maps_loss", math.nan),
        fracture_map_loss=losses.get("fracture_map_loss", math.nan),
        learning_rate=float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        auroc_overall=auroc(scores.truth[:, 0], scores.scores[:, 0]),
        auroc_levels=mean_level_auroc(scores.truth, scores.scores),
        auroc_slices=slice_auroc([Sample.of(stack, recipe).targets for stack in data.held_out], outputs),
        seconds=round(time.monotonic() - begin, 1),
    )
    stage = stage_at(recipe, progress.epoch)
    progress = advanced(progress, record, recipe)
    if progress.best is record:
        save_network(home / BEST, trained.server)
        write_text(home / _BEST_SCORES, scores.to_csv())
    if stage_at(recipe, progress.epoch) != stage:  # before the checkpoint, which holds the optimiser of the stage that follows
        enter_stage(model, recipe, stage_at(recipe, progress.epoch))
    save_checkpoint(home / CHECKPOINT, model, progress)
    _write_log(home / LOG, progress)
    reporter.epoch(record, recipe.fit.epochs)
    return progress


def advanced(progress: Progress, record: EpochRecord, recipe: Recipe) -> Progress:
    """Progress after an epoch: training ends with the last, or in its last stage when the best is too long ago."""
    later = Progress(progress.epoch + 1, 0, (*progress.records, record))
    best = max(later.best.epoch if later.best else 0, last_stage_begins(recipe))
    return replace(later, done=later.epoch >= recipe.fit.epochs or record.epoch - best >= recipe.fit.patience)


def save_network(path: Path, model: keras.Model) -> None:
    """Writes a network that is there whole or not at all."""
    with replacing_file(path) as made:
        keras.saving.save_model(model, made, include_optimizer=False)


def _write_log(path: Path, progress: Progress) -> None:
    names = [item.name for item in fields(EpochRecord)]
    rows: list[dict[str, Any]] = [asdict(record) for record in progress.records]
    write_text(path, "\n".join([",".join(names), *(",".join(f"{row[name]:.6g}" for name in names) for row in rows)]) + "\n")
