"""Finding the weights of a localiser, with a checkpoint from which it goes on exactly where it was killed."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cspine.errors import TrainingError
from cspine.training.backend import calculating_in, compiles, prepare_backend, seed_everything
from cspine.training.board import BOARD, Board
from cspine.training.checkpoint import load_arrays, save_arrays, stored_facts
from cspine.training.fitting import BEST, CHECKPOINT, LOG, Reporter, save_network, write_whole
from cspine.training.localiser.batches import Sources, WindowBatches, Windows
from cspine.training.localiser.judging import judge_windows
from cspine.training.localiser.losses import VoxelDiceCrossentropy
from cspine.training.localiser.recipe import LocaliserRecipe
from cspine.training.schedule import optimizer_of


@dataclass(frozen=True, slots=True)
class LocaliserRecord:
    """One line of the log of a localiser.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        dice: As :class:`.WindowScore`, on necks out of shape, or on patients that are held out.
        right: The same.
        wrong: The same.
        invented: The same.
        seconds: Training and judging.
    """

    epoch: int
    loss: float
    dice: float
    right: float
    wrong: float
    invented: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        score = self.dice + self.right - self.wrong
        return score if np.isfinite(score) else float("-inf")


@dataclass(frozen=True, slots=True)
class _Progress:
    epoch: int = 0
    batch: int = 0
    records: tuple[LocaliserRecord, ...] = field(default=(), repr=False)

    @property
    def best(self) -> LocaliserRecord | None:
        return max(reversed(self.records), key=lambda record: record.score, default=None)


def fit_localiser(
    recipe: LocaliserRecipe, sources: Sources, held_out: Callable[[], Windows], home: Path, reporter: Reporter
) -> None:
    """Trains the network, from its checkpoint on where there is one.

    Writes ``best.keras``, ``log.csv``, ``tensorboard`` and ``checkpoint.npz`` into ``home``.

    Args:
        recipe: What to train.
        sources: What windows are drawn from.
        held_out: Gives those that choose the epoch.
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
        model = recipe.network.build(recipe.input, recipe.seed)
    model.compile(optimizer_of(recipe.fit, recipe.fit.epochs * recipe.batches), VoxelDiceCrossentropy(), jit_compile=compiles())
    model.optimizer.build(model.trainable_variables)
    progress, path = _Progress(), home / CHECKPOINT
    if path.exists():
        load_arrays(path, model)
        progress = _stored(path)
    reporter.say("windows to judge by")
    windows = held_out()
    with Board.in_folder(home / BOARD, progress.epoch) as board:
        while progress.epoch < recipe.fit.epochs:
            progress = _epoch(model, recipe, sources, windows, home, progress, reporter)
            board.add(progress.records[-1])


def _epoch(  # noqa: PLR0913,PLR0917  # one epoch touches all that a run has
    model: keras.Model,
    recipe: LocaliserRecipe,
    sources: Sources,
    windows: Windows,
    home: Path,
    progress: _Progress,
    reporter: Reporter,
) -> _Progress:
    begin = time.monotonic()
    watch = _Watch(home / CHECKPOINT, progress, recipe, reporter)
    batches = WindowBatches(sources, recipe, progress.epoch, progress.batch)
    loss = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[watch]).history["loss"][-1]
    found = judge_windows(model, windows, recipe.input)
    seconds = round(time.monotonic() - begin, 1)
    record = LocaliserRecord(progress.epoch + 1, float(loss), **asdict(found), seconds=seconds)
    progress = _Progress(progress.epoch + 1, 0, (*progress.records, record))
    if progress.best is record:
        save_network(home / BEST, model)
    save_arrays(home / CHECKPOINT, model, asdict(progress))
    write_whole(home / LOG, _log(progress.records))
    reporter.warn(
        f"epoch {record.epoch}/{recipe.fit.epochs}  loss {record.loss:.3f}  dice {record.dice:.3f}  right {record.right:.3f}  "
        f"wrong {record.wrong:.3f}  {record.seconds:.0f} s"
    )
    return progress


class _Watch(keras.callbacks.Callback):
    """Reports and saves while an epoch is under way."""

    def __init__(self, path: Path, progress: _Progress, recipe: LocaliserRecipe, reporter: Reporter) -> None:
        super().__init__()
        self._path, self._progress, self._recipe, self._reporter = path, progress, recipe, reporter
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done, of = self._progress.batch + batch + 1, self._recipe.batches
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            raise TrainingError("The loss is no number any more. Train with a lower fit.learning_rate.")
        self._reporter.batch(done, of, {"loss": loss})
        if done < of and time.monotonic() - self._saved >= 60 * self._recipe.fit.checkpoint_minutes:
            save_arrays(self._path, self.model, asdict(replace(self._progress, batch=done)))
            self._saved = time.monotonic()


def _stored(path: Path) -> _Progress:
    facts: dict[str, Any] = stored_facts(path)
    try:
        return _Progress(**facts | {"records": tuple(LocaliserRecord(**record) for record in facts["records"])})
    except (KeyError, TypeError) as error:
        raise TrainingError(f"The checkpoint {path} does not belong to a localiser. Train again into a new folder.") from error


def _log(records: Sequence[LocaliserRecord]) -> str:
    names = [item.name for item in fields(LocaliserRecord)]
    rows = [json.loads(json.dumps(asdict(record))) for record in records]
    return "\n".join([",".join(names), *(",".join(f"{row[name]:.6g}" for name in names) for row in rows)]) + "\n"
