"""Lets Ctrl-C wait for the end of a step, so that a checkpoint can be written that training goes on from exactly."""

import signal
import threading
from types import FrameType
from typing import Self


class Interruption:
    """Remembers the first Ctrl-C within it; the second one interrupts at once.

    In a thread that is not the main one, which no signal reaches, nothing is changed.

    Attributes:
        asked: Whether somebody asked to stop.
    """

    asked: bool

    def __init__(self) -> None:
        self.asked = False
        self._before: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]  # it is what signal.signal gave
            self._before = None

    def check(self) -> None:
        """Interrupts where somebody asked for it.

        Raises:
            KeyboardInterrupt: Somebody did.
        """
        if self.asked:
            raise KeyboardInterrupt

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # what a handler is given
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
