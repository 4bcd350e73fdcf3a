"""Studies small enough to train on in a second: a bright square is a vertebra, a dark gap in it a fracture."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import Case, SliceBox
from cspine.geometry import Grid
from cspine.networks.settings import CustomCNNSettings
from cspine.specs import SliceSpec
from cspine.training.core.checkpoint import EpochRecord
from cspine.training.core.loop import train_network
from cspine.training.core.marks import BOX_BIT
from cspine.training.core.runs import CHECKPOINT
from cspine.training.core.settings import FitSettings
from cspine.training.slices.family import SliceFold, slice_task
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(32, 32), neighbours=1, window_hu=(-200.0, 1300.0))


def recipe(**fit: float | int) -> SliceRecipe:
    """Returns a recipe of a tiny network and few steps."""
    settings = {
        "epochs": 2,
        "batch": 4,
        "batches": 5,
        "learning_rate": 0.01,
        "patience": 5,
        "checkpoint_minutes": 60.0,
        "threads": 1,
    } | fit
    return SliceRecipe(
        name="custom_cnn",
        network=CustomCNNSettings(widths=(4, 4, 4, 4), head_width=6, dropout=0.1),
        input=SPEC,
        fit=FitSettings(**settings),  # type: ignore[arg-type]
        seed=3,
    )


def stack(number: int, broken: int | None, *, mask: bool = True, boxes: bool = True) -> SliceStack:
    """Returns seven levels of four slices each; ``broken`` (0..6) has a gap in its second slice."""
    rng = np.random.default_rng(number)
    hu = rng.normal(40, 20, (28, 32, 32))
    hu[:, :, [0, 1, -2, -1]] = -1000
    marks = np.zeros(hu.shape, dtype=np.uint8)
    for level in range(7):
        z = slice(24 - 4 * level, 28 - 4 * level)
        marks[z, 10:22, 10:22] = level + 1
        hu[z, 10:22, 10:22] = 600
        if level == broken:
            hu[z.start + 1, 14:17, 8:24] = -100
            if boxes:
                marks[z.start + 1, 12:19, 8:24] |= BOX_BIT
    if not mask:
        marks &= BOX_BIT
    case = Case(
        study_uid=f"1.2.{number}",
        images=Path(f"images/{number}"),
        fractured=tuple(level == broken for level in range(7)),
        boxes=(SliceBox(1, 8, 12, 16, 7),) if boxes and broken is not None else (),
        mask=Path(f"masks/{number}.nii") if mask else None,
    )
    grid = Grid.upright((0, 0, 0), (28, 32, 32), SPEC.spacing_mm)
    return SliceStack(case, np.rint(hu).astype(np.int16), marks, grid)


def fold_data() -> SliceFold:
    """Returns six studies to train on and four that are held out, half of them fractured."""
    stacks = [stack(i, i % 7 if i % 2 else None) for i in range(10)]
    return SliceFold(0, stacks[:6], stacks[6:])


def fit(settings: SliceRecipe, data: SliceFold, home: Path, reporter: "Silent") -> None:
    """Trains a slice network."""
    train_network(slice_task(settings, data, reporter), settings.fit, settings.seed, home, reporter)


@dataclass
class Silent:
    """A reporter that remembers."""

    epochs: int = 0

    def warn(self, text: str) -> None:
        """Ignores warnings."""

    def say(self, text: str) -> None:
        """Ignores messages."""

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """Ignores batches."""

    def begins(self, home: Path, epoch: int, settings: FitSettings) -> None:
        """Ignores beginnings."""

    def epoch(self, record: EpochRecord, of: int, home: Path) -> None:
        """Counts epochs."""
        self.epochs += 1


class KilledError(Exception):
    """Stands for the end of the process."""


class KillingReporter(Silent):
    """Ends training after some batches."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """Counts batches, and raises after the last."""
        self.left -= 1
        if self.left < 0:
            raise KilledError


def stored_arrays(home: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a checkpoint, without what says how far it is."""
    with np.load(home / CHECKPOINT) as file:
        return {name: file[name] for name in file.files if name != "progress"}


def assert_same_checkpoints(one: Path, other: Path) -> None:
    """Compares the weights of two runs, and all else that their optimisers remember, bit by bit."""
    first, second = stored_arrays(one), stored_arrays(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def assert_resumes_exactly(fit: Callable[[Path, Silent], None], uninterrupted: Path, folder: Path, after: int) -> None:
    """Trains with an interruption, and compares what comes of it with a run without one.

    Args:
        fit: Trains into a folder.
        uninterrupted: Where that run is.
        folder: Where to train.
        after: How many batches the run has before it is killed.
    """
    with pytest.raises(KilledError):
        fit(folder, KillingReporter(after))
    fit(folder, Silent())
    assert_same_checkpoints(uninterrupted, folder)
