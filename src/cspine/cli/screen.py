"""Shows the progress of long work: on stderr a bar or a line that changes, a line per epoch elsewhere; or JSON lines on stdout."""

import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

if TYPE_CHECKING:
    from cspine.training.core.checkpoint import EpochRecord
    from cspine.training.core.settings import FitSettings

_EVERY_S = 0.2
_JSON_EVERY_S = 1.0

tqdm.monitor_interval = 0  # no thread of its own: workers are forked beside it


class Screen:
    """A :class:`cspine.training.core.log.Reporter` that writes to stderr."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] = tqdm(
            file=sys.stderr, disable=not sys.stderr.isatty(), leave=False, mininterval=_EVERY_S, bar_format="{desc}"
        )
        self._meter: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def say(self, text: str) -> None:
        """Shows what is being done."""
        self._bar.bar_format = "{desc}"
        self._bar.set_description_str(text[:120])

    def warn(self, text: str) -> None:
        """Tells what is left out."""
        tqdm.write(text, file=sys.stderr)

    def begins(self, home: Path, epoch: int, settings: "FitSettings") -> None:  # noqa: ARG002
        """Begins to measure an epoch."""
        from cspine.training.core.meter import Meter

        self._meter = self._meter or Meter()
        self._meter.begins(epoch, settings)

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """Shows how far the epoch under way is, how fast it goes, and when training ends."""
        self._meter.batch(done)
        if self._bar.disable:
            return
        self._bar.bar_format = "{desc} |{bar:20}| {n_fmt}/{total_fmt} {postfix}"
        if self._bar.total != of or done < self._bar.n:
            self._bar.reset(total=of)
        self._bar.set_description_str("batch", refresh=False)
        parts = [*(f"{name} {value:.4f}" for name, value in losses.items()), _measured(self._meter.reading(done))]
        self._bar.set_postfix_str("  ".join(filter(None, parts)), refresh=False)
        self._bar.update(done - self._bar.n)

    def epoch(self, record: "EpochRecord", of: int, home: Path) -> None:  # noqa: ARG002
        """Tells what became of an epoch."""
        from cspine.training.core.log import line_of

        self._meter.ended()
        measured = _measured(self._meter.reading(self._meter.batches)) if record.epoch < of else ""
        self.warn("  ".join(filter(None, (line_of(record, of), measured))))


class JsonLines:
    """A :class:`cspine.training.core.log.Reporter` that writes each event as a line of JSON to stdout.

    Every line has ``event`` (``say``, ``warn``, ``batch``, ``epoch`` or ``done``) and ``time``, seconds since 1970. Batches come
    once a second at most. What is not known is ``null``.
    """

    def __init__(self) -> None:
        self._meter: Any = None
        self._told = -math.inf
        self._where: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Tells what is being done."""
        self.event("say", text=text)

    def warn(self, text: str) -> None:
        """Tells what is left out."""
        self.event("warn", text=text)

    def begins(self, home: Path, epoch: int, settings: "FitSettings") -> None:
        """Begins to measure an epoch."""
        from cspine.training.core.log import fold_and_part
        from cspine.training.core.meter import Meter

        self._meter = self._meter or Meter()
        self._meter.begins(epoch, settings)
        fold, part = fold_and_part(home)
        self._where = {"fold": fold, "part": part, "epoch": epoch, "epochs": settings.epochs}

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """Tells how far the epoch under way is, how fast it goes, and when training ends."""
        self._meter.batch(done)
        if time.monotonic() - self._told < _JSON_EVERY_S and done < of:
            return
        self._told = time.monotonic()
        self.event("batch", **self._where, batch=done, batches=of, losses=losses, **self._numbers(done))

    def epoch(self, record: "EpochRecord", of: int, home: Path) -> None:
        """Tells what became of an epoch."""
        from cspine.training.core.log import fold_and_part

        self._meter.ended()
        measured = self._numbers(self._meter.batches)
        fold, part = fold_and_part(home)
        self.event("epoch", fold=fold, part=part, epochs=of, **record.numbers(), **measured)

    def event(self, name: str, **values: Any) -> None:
        """Writes one line."""
        print(json.dumps({"event": name, "time": round(time.time(), 3), **_finite(values)}), flush=True)  # noqa: T201

    def _numbers(self, done: int) -> dict[str, Any]:
        from dataclasses import asdict

        return asdict(self._meter.reading(done))


def _finite(value: Any) -> Any:
    """Returns a value with null in the place of what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _measured(reading: Any) -> str:
    """Returns speed, memory and time left of a reading, as far as they are known."""
    from cspine.training.core.meter import duration

    if reading.examples_per_second is None:
        return ""
    speed, memory = f"{reading.examples_per_second:.3g}/s", f"{reading.peak_memory_gib:.1f} GiB"
    return f"{speed}, {memory}, {duration(reading.seconds_left)} left"
