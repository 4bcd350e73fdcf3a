"""Tests Ctrl-C in the middle of a step that takes long."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cspine.training.core import interruption, last_step
from cspine.training.core.checkpoint import Progress, load_checkpoint, stored_progress
from cspine.training.core.interruption import Interruption
from cspine.training.core.last_step import STOPPING, LastStep
from cspine.training.core.loop import TrainingTask, Validation, train_network
from cspine.training.core.runs import CHECKPOINT
from cspine.training.core.settings import FitSettings
from tests.training.synthetic import Silent

SETTINGS = FitSettings(epochs=1, batch=1, batches=4, learning_rate=0.1, patience=0, checkpoint_minutes=60.0, threads=1)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Has Ctrl-C raise, as on a terminal; a shell starts what it does not wait for without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Warned(Silent):
    """A reporter that remembers warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Adds a warning."""
        self.warnings.append(text)


class Batches(keras.utils.PyDataset):
    """Four batches; Ctrl-C is pressed while the third is under way, which ends when a checkpoint is there, or after a while."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home, self.found = home, -1

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index == 2:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(100):
                time.sleep(0.05)
                if (self._home / CHECKPOINT).exists():
                    self.found = stored_progress(self._home / CHECKPOINT).batch
                    break
        return np.ones((1, 2), np.float32), np.ones((1, 1), np.float32)


def task(batches: Batches) -> TrainingTask[None]:
    """Returns what a network of one layer learns."""

    def build() -> keras.Model:
        image = keras.Input((2,))
        return keras.Model(image, keras.layers.Dense(1, kernel_initializer="ones", name="dense")(image))

    return TrainingTask(
        build=build,
        batches=lambda *_: batches,
        losses=keras.losses.MeanSquaredError(),
        held_out=lambda: None,
        validate=lambda *_: Validation({}, 0.0),
    )


@pytest.mark.usefixtures("untraced")
def test_within_a_second_there_is_a_checkpoint_of_the_step_before_and_then_of_the_step_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_step, "SLOW_S", 0.0)
    monkeypatch.setattr(last_step, "_COST", 1e9)
    batches, reporter = Batches(tmp_path), Warned()

    with pytest.raises(KeyboardInterrupt):
        train_network(task(batches), SETTINGS, 0, tmp_path, reporter)

    assert batches.found in (1, 2)  # a data set is one batch ahead of the step
    assert reporter.warnings == [STOPPING]
    assert stored_progress(tmp_path / CHECKPOINT).batch > batches.found


def test_of_a_short_step_nothing_is_kept(tmp_path: Path) -> None:
    model = task(Batches(tmp_path)).build()
    model.compile("sgd", "mse", jit_compile=False)
    last = LastStep(tmp_path / CHECKPOINT, Silent())

    last.keep(model, stored := Progress(0, 1))
    last.save()

    assert not (tmp_path / CHECKPOINT).exists()
    last._ended -= 5.0  # as if the step had taken five seconds
    last.keep(model, stored)
    model.get_layer("dense").kernel.assign(np.zeros((2, 1), np.float32))  # by the step under way
    last.save()
    model.get_layer("dense").kernel.assign(np.full((2, 1), 7.0, np.float32))
    load_checkpoint(tmp_path / CHECKPOINT, model)
    np.testing.assert_array_equal(np.asarray(model.get_layer("dense").kernel), 1.0)
    assert stored_progress(tmp_path / CHECKPOINT) == stored


def test_without_ctrl_c_nothing_is_saved_and_the_handler_of_before_is_back() -> None:
    saved: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    with Interruption(lambda: saved.append(1)) as found:
        assert signal.getsignal(signal.SIGINT) != before

    assert not found.asked
    assert not saved
    assert signal.getsignal(signal.SIGINT) is before


def test_a_step_that_ends_in_time_is_not_saved_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "PATIENCE_S", 60.0)
    saved: list[int] = []

    with Interruption(lambda: saved.append(1)) as found:
        os.kill(os.getpid(), signal.SIGINT)
        found.settle()

    assert found.asked
    assert not saved
