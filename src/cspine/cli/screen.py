"""Shows training on stderr: one line that changes on a terminal, a line per epoch elsewhere."""

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from cspine.training.core.checkpoint import EpochRecord

_EVERY_S = 0.2


class Screen:
    """A :class:`cspine.training.slices.fitting.Reporter` that writes to stderr."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def say(self, text: str) -> None:
        """Says what is being done."""
        self._line(text)

    def warn(self, text: str) -> None:
        """Says what is left out."""
        self._clear()
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def batch(self, done: int, of: int, losses: dict[str, float]) -> None:
        """Shows that a batch of the epoch under way was done."""
        self._line(f"batch {done}/{of}  " + "  ".join(f"{name} {value:.4f}" for name, value in losses.items()), last=done == of)

    def epoch(self, record: "EpochRecord", of: int) -> None:
        """Shows that an epoch was done."""
        self._clear()
        sys.stderr.write(
            f"epoch {record.epoch}/{of}  loss {record.loss:.4f}  fracture {record.fracture_loss:.4f}  "
            f"held-out AUROC overall {record.auroc_overall:.3f}, levels {record.auroc_levels:.3f}, "
            f"slices {record.auroc_slices:.3f}  {record.seconds:.0f} s\n"
        )
        sys.stderr.flush()

    def _line(self, text: str, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._live and (last or now - self._shown >= _EVERY_S):
            sys.stderr.write(f"\r{text[:120]}\x1b[K")
            sys.stderr.flush()
            self._shown = now

    def _clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
