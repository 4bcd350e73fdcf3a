"""Keeps what the last step left in memory, where steps take so long that nobody waits for the end of one after Ctrl-C."""

import time
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np

from cspine.errors import OutputError
from cspine.training.core.checkpoint import Progress, state_of, write_state
from cspine.training.core.log import Reporter

SLOW_S = 1.0
"""From here on a step is long."""

_COST = 0.02
"""Share of the time of a step that a copy of what it left may take."""

STOPPING = "A checkpoint is written. Training stops after this step. Add --resume to the command to go on."


class LastStep:
    """Holds a copy of all that a checkpoint holds, while steps are long and the copy is cheap against them.

    Args:
        path: Of the checkpoint.
        reporter: Is warned when it is written.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path, self._reporter = path, reporter
        self._kept: tuple[dict[str, np.ndarray], Progress] | None = None
        self._ended, self._copying_s = time.monotonic(), 0.0

    def keep(self, model: keras.Model, progress: Progress) -> None:
        """Takes the copy at the end of a step."""
        begin = time.monotonic()
        took = begin - self._ended
        self._kept = None
        if took >= SLOW_S and self._copying_s <= _COST * took:
            self._kept = state_of(model), progress
            self._copying_s = time.monotonic() - begin
        self._ended = time.monotonic()

    def save(self) -> None:
        """Writes the checkpoint of the last step, where there is a copy; where it cannot be written, the loop says so later."""
        if self._kept is not None:
            with suppress(OutputError):
                write_state(self._path, *self._kept)
                self._reporter.warn(STOPPING)
