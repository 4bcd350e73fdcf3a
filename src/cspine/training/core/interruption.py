"""Lets Ctrl-C wait for the end of a step, so that a checkpoint can be written that training goes on from exactly."""

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self

PATIENCE_S = 0.5
"""How long a step may take to end after Ctrl-C before what the step before it left is saved."""


class Interruption:
    """Remembers the first Ctrl-C within it; the second one interrupts at once.

    A framework may be in the middle of a step of many seconds then, and Python runs no handler before it ends. So a thread waits
    for the signal too, and after :data:`PATIENCE_S` calls ``save``, while the step goes on.

    In a thread that is not the main one, which no signal reaches, nothing is changed.

    Args:
        save: Saves what the last step left, from another thread.

    Attributes:
        asked: Whether Ctrl-C was pressed.
    """

    asked: bool

    def __init__(self, save: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self._save = save
        self._before: object = None
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None
        self._wakeup = -1
        self._sockets: tuple[socket.socket, ...] = ()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._remember)
            self._sockets = socket.socketpair()
            self._sockets[1].setblocking(False)
            self._wakeup = signal.set_wakeup_fd(self._sockets[1].fileno(), warn_on_full_buffer=False)
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.set_wakeup_fd(self._wakeup)
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]  # it is what signal.signal gave
            self._before = None
            self.settle()
            for one in self._sockets:
                one.close()

    def settle(self) -> None:
        """Waits for the thread: from here on nothing is saved but by the caller."""
        self._ended.set()
        if self._watcher is not None:
            self._sockets[1].send(bytes(1))
            self._watcher.join()
            self._watcher = None

    def check(self) -> None:
        """Interrupts where Ctrl-C was pressed.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self.asked:
            raise KeyboardInterrupt

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # what a handler is given
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def _watch(self) -> None:
        while not self._ended.is_set():
            came = self._sockets[0].recv(1)
            if came == bytes((signal.SIGINT,)) and not self._ended.wait(PATIENCE_S):
                self._save()
                return
