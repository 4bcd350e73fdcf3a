"""Shows the progress of long work on stderr: a bar or a line that changes on a terminal, a line per epoch elsewhere."""

import sys
from typing import Any, Self

from tqdm import tqdm

_EVERY_S = 0.2

tqdm.monitor_interval = 0  # no thread of its own: workers are forked beside it


class Screen:
    """A :class:`cspine.training.core.log.Reporter` that writes to stderr."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] = tqdm(
            file=sys.stderr, disable=not sys.stderr.isatty(), leave=False, mininterval=_EVERY_S, bar_format="{desc}"
        )

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

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """Shows how far the epoch under way is."""
        if self._bar.disable:
            return
        self._bar.bar_format = "{desc} |{bar:20}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}] {postfix}"
        if self._bar.total != of or done < self._bar.n:
            self._bar.reset(total=of)
        self._bar.set_description_str("batch", refresh=False)
        self._bar.set_postfix_str("  ".join(f"{name} {value:.4f}" for name, value in losses.items()), refresh=False)
        self._bar.update(done - self._bar.n)

    def epoch(self, text: str) -> None:
        """Tells what became of an epoch."""
        self.warn(text)
