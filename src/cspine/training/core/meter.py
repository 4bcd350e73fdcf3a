"""Measures how fast training goes, how long it will take, and how much memory it has needed."""

import resource
import sys
import time
from dataclasses import dataclass

from cspine.training.core.settings import FitSettings


@dataclass(frozen=True, slots=True)
class Reading:
    """Holds what a meter says.

    Attributes:
        seconds_left: Until the last epoch ends, with validation as far as it is known; ``None`` before the first batch.
        examples_per_second: In the epoch under way: slices, studies, windows or crops; ``None`` before the second batch.
        peak_memory_gib: Highest memory of this process so far.
    """

    seconds_left: float | None
    examples_per_second: float | None
    peak_memory_gib: float


class Meter:
    """Measures one training after another."""

    def __init__(self) -> None:
        self._settings, self._epoch = FitSettings(), 1
        self._first: tuple[int, float] | None = None
        self._rate = self._beside = 0.0
        self._last = time.monotonic()

    def begins(self, epoch: int, settings: FitSettings) -> None:
        """Tells that an epoch begins, counted from 1."""
        if epoch == 1 or settings != self._settings:
            self._rate = self._beside = 0.0
        self._settings, self._epoch, self._first = settings, epoch, None
        self._last = time.monotonic()

    @property
    def batches(self) -> int:
        """Returns how many batches an epoch has."""
        return self._settings.batches

    def batch(self, done: int) -> None:
        """Tells that batches of the epoch are done; the first one, in which a network is traced, is not measured."""
        self._last = time.monotonic()
        if self._first is None:
            self._first = (done, self._last)
        elif done > self._first[0]:
            self._rate = (done - self._first[0]) / max(self._last - self._first[1], 1e-9)

    def ended(self) -> None:
        """Tells that an epoch has ended; what it took beside its batches is expected of the next ones too."""
        self._beside = time.monotonic() - self._last
        self._first = None

    def reading(self, done: int) -> Reading:
        """Returns what is known after some batches of the epoch under way."""
        settings, rate = self._settings, self._rate
        epochs = settings.epochs - self._epoch
        left = None
        if rate:
            steps = max(0, settings.batches - done) + epochs * settings.batches
            left = steps / rate + (epochs + (done < settings.batches)) * self._beside
        return Reading(left, rate * settings.batch if rate else None, peak_memory_gib())


def peak_memory_gib() -> float:
    """Returns the highest resident memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 2)


def duration(seconds: float) -> str:
    """Returns a duration as people say it, for instance ``2 h 05 min``."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if seconds >= 60 else f"{seconds:.0f} s"
