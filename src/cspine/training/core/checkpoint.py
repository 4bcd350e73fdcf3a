"""All that a run needs to go on exactly where it was: one file, written whole or not at all."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cspine.array_files import read_arrays
from cspine.codec import ShapeError, decode
from cspine.errors import OutputError, TrainingError
from cspine.files import replacing_file
from cspine.strict_json import parse_json

_DAMAGED = "The checkpoint {path} does not fit this run or is damaged. Train again into a new folder."


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of the log of a run.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of the epoch, or of what was left of it after a resume.
        fracture_loss: Its part.
        visible_loss: Its part.
        level_map_loss: Its part.
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
    level_map_loss: float
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
    models, optimizers = (
        [f"{kind}{i}" for i in range(len(own.variables))] for kind, own in (("model", model), ("optimizer", model.optimizer))
    )
    try:
        stored = read_arrays(path, [*models, *optimizers])
        _check_shapes(model.variables + model.optimizer.variables, [stored[name] for name in (*models, *optimizers)])
        _assign(model.variables, [stored[name] for name in models])
        _assign(model.optimizer.variables, [stored[name] for name in optimizers])
    except (OSError, ValueError) as error:
        raise TrainingError(_DAMAGED.format(path=path)) from error


def stored_facts(path: Path) -> dict[str, Any]:
    """What was told of progress: ``epoch``, ``batch`` and the list ``records`` at least.

    Raises:
        TrainingError: ``path`` is damaged.
    """
    try:
        facts = parse_json(str(read_arrays(path, ["progress"])["progress"]), with_nan=True)
    except (OSError, ValueError) as error:
        raise TrainingError(_DAMAGED.format(path=path)) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("records"), list):
        raise TrainingError(_DAMAGED.format(path=path))
    if any(not isinstance(facts.get(name), int) or isinstance(facts[name], bool) or facts[name] < 0 for name in ("epoch", "batch")):
        raise TrainingError(_DAMAGED.format(path=path))
    return facts


def stored_progress(path: Path) -> Progress:
    """How far the run had come when a checkpoint was written.

    Raises:
        TrainingError: ``path`` is damaged.
    """
    data = stored_facts(path)
    try:
        return decode(Progress, data, "progress")
    except ShapeError as error:
        raise TrainingError(_DAMAGED.format(path=path)) from error


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _check_shapes(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    """All before any is assigned: a network is never half of one run and half of another."""
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape or value.dtype.kind not in "biuf":
            raise ValueError(f"{variable.path} has another shape, or is no number")
