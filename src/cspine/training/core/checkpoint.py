"""All that training needs to go on exactly where it was: one file, written whole or not at all."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from cspine.errors import OutputError, TrainingError
from cspine.storage.array_files import read_arrays
from cspine.storage.codec import decode
from cspine.storage.files import replacing_file
from cspine.storage.strict_json import parse_json


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of the log.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        losses: Its parts, by output; none where the network has one output.
        metrics: What the network does on held-out data, by name; NaN where that cannot be told.
        score: What the best epoch is chosen by: a mean or sum of metrics; NaN where none is known.
        learning_rate: At the end.
        seconds: Training and validation.
    """

    epoch: int
    loss: float
    losses: dict[str, float]
    metrics: dict[str, float]
    score: float
    learning_rate: float
    seconds: float

    def numbers(self) -> dict[str, float]:
        """Returns all numbers by the names of columns."""
        parts = {f"{name}_loss": value for name, value in self.losses.items()}
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            **parts,
            **self.metrics,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """Says how far training has come.

    Attributes:
        epoch: The one that is under way, counted from 0.
        batch: Batches of it that were done.
        records: What became of the epochs before.
        done: Whether training has ended.
    """

    epoch: int = 0
    batch: int = 0
    records: tuple[EpochRecord, ...] = field(default=(), repr=False)
    done: bool = False

    @property
    def best(self) -> EpochRecord | None:
        """Returns the epoch with the best score; the later one of two alike."""
        return max(reversed(self.records), key=_rank, default=None)


def _rank(record: EpochRecord) -> float:
    return record.score if math.isfinite(record.score) else -math.inf


def save_checkpoint(path: Path, model: keras.Model, progress: Progress) -> None:
    """Writes weights, optimiser, the state of dropout, and progress.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    write_state(path, state_of(model), progress)


def state_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns copies of weights, optimiser and the state of dropout, by the names that a checkpoint has for them."""
    both = (("model", model.variables), ("optimizer", model.optimizer.variables))
    return {f"{kind}{i}": np.array(keras.ops.convert_to_numpy(v.value)) for kind, found in both for i, v in enumerate(found)}


def write_state(path: Path, arrays: dict[str, np.ndarray], progress: Progress) -> None:
    """Writes a checkpoint of what :func:`state_of` gave.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    try:
        with replacing_file(path) as partial:
            np.savez(partial, allow_pickle=False, progress=np.array(json.dumps(asdict(progress))), **arrays)
    except OSError as error:
        raise OutputError(
            f"A checkpoint cannot be written to {path}: {error.strerror}. Free the disk or choose another run."
        ) from error


def load_checkpoint(path: Path, model: keras.Model) -> None:
    """Puts the model and its optimiser where they were.

    Raises:
        TrainingError: ``path`` is damaged or belongs to another network.
    """
    models, optimizers = (
        [f"{kind}{i}" for i in range(len(own.variables))] for kind, own in (("model", model), ("optimizer", model.optimizer))
    )
    try:
        stored = read_arrays(path, [*models, *optimizers])
        _check_shapes(model.variables + model.optimizer.variables, [stored[name] for name in (*models, *optimizers)])
        _assign(model.variables, [stored[name] for name in models])
        _assign(model.optimizer.variables, [stored[name] for name in optimizers])
    except (OSError, ValueError) as error:
        raise _damaged(path) from error


def stored_progress(path: Path) -> Progress:
    """Returns how far training had come when a checkpoint was written.

    Raises:
        TrainingError: ``path`` is damaged.
    """
    try:
        data = parse_json(str(read_arrays(path, ["progress"])["progress"]), with_nan=True)
        progress = decode(Progress, data, "progress")
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    if progress.epoch != len(progress.records) or progress.batch < 0:
        raise _damaged(path)
    return progress


def _damaged(path: Path) -> TrainingError:
    return TrainingError(f"The checkpoint {path} does not fit this run or is damaged. Train again into a new folder.")


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _check_shapes(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    """Checks all before any is assigned: a network is never half of one run and half of another."""
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape or value.dtype.kind not in "biuf":
            raise ValueError(f"{variable.path} has another shape, or is not a number")
