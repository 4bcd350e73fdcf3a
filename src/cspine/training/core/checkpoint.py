"""All that a run needs to go on exactly where it was: one file, written whole or not at all."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from cspine.errors import OutputError, TrainingError
from cspine.files import replacing_file

_DAMAGES = (OSError, KeyError, ValueError, TypeError, EOFError, BadZipFile)
_DAMAGED = "The checkpoint {path} does not fit this run or is damaged. Train again into a new folder."


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of the log of a run.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        fracture_loss: Its part.
        visible_loss: Its part.
        where_loss: Its part.
        learning_rate: At the end.
        auroc_overall: Of ``patient_overall``, on held-out patients; NaN where they are all alike.
        auroc_levels: Mean over the levels that can be judged, on held-out patients.
        auroc_slices: Over the slices of held-out patients that show a level; NaN where that is not known.
        seconds: Training and judging.
        maps_loss: A part of the loss; NaN where the network has no such output.
        fracture_map_loss: The same.
    """

    epoch: int
    loss: float
    fracture_loss: float
    visible_loss: float
    where_loss: float
    learning_rate: float
    auroc_overall: float
    auroc_levels: float
    auroc_slices: float
    seconds: float
    maps_loss: float = math.nan
    fracture_map_loss: float = math.nan

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        known = [value for value in (self.auroc_overall, self.auroc_levels, self.auroc_slices) if np.isfinite(value)]
        return float(np.mean(known)) if known else float("-inf")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

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
        """The epoch with the best score; the later one of two alike."""
        return max(reversed(self.records), key=lambda record: record.score, default=None)


def save_checkpoint(path: Path, model: keras.Model, progress: Progress) -> None:
    """Writes weights, optimiser, the state of dropout, and progress.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    save_arrays(path, model, asdict(progress))


def save_arrays(path: Path, model: keras.Model, progress: dict[str, Any]) -> None:
    """Writes weights, optimiser, the state of dropout, and what is told of progress.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    arrays = {f"model{i}": keras.ops.convert_to_numpy(v.value) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer{i}": keras.ops.convert_to_numpy(v.value) for i, v in enumerate(model.optimizer.variables)}
    try:
        with replacing_file(path) as made:
            np.savez(made, allow_pickle=False, progress=np.array(json.dumps(progress)), **arrays)
    except OSError as error:
        raise OutputError(
            f"A checkpoint cannot be written to {path}: {error.strerror}. Free the disk or choose another run."
        ) from error


def load_checkpoint(path: Path, model: keras.Model) -> Progress:
    """Puts the model and its optimiser where they were.

    Raises:
        TrainingError: ``path`` is damaged or belongs to another network.
    """
    progress = stored_progress(path)
    load_arrays(path, model)
    return progress


def load_arrays(path: Path, model: keras.Model) -> None:
    """Puts the model and its optimiser where they were.

    Raises:
        TrainingError: ``path`` is damaged or belongs to another network.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            _assign(model.variables, [stored[f"model{i}"] for i in range(len(model.variables))])
            _assign(model.optimizer.variables, [stored[f"optimizer{i}"] for i in range(len(model.optimizer.variables))])
    except _DAMAGES as error:
        raise TrainingError(_DAMAGED.format(path=path)) from error


def stored_facts(path: Path) -> dict[str, Any]:
    """What was told of progress.

    Raises:
        TrainingError: ``path`` is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(json.loads(str(stored["progress"])))
    except _DAMAGES as error:
        raise TrainingError(_DAMAGED.format(path=path)) from error


def stored_progress(path: Path) -> Progress:
    """How far the run had come when a checkpoint was written.

    Raises:
        TrainingError: ``path`` is damaged.
    """
    data = stored_facts(path)
    try:
        return Progress(**data | {"records": tuple(EpochRecord(**record) for record in data["records"])})
    except _DAMAGES as error:
        raise TrainingError(_DAMAGED.format(path=path)) from error


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise ValueError(f"{variable.path} has another shape")
        variable.assign(value)
