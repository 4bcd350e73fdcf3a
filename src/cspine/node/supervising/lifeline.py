"""Ends a process with its supervisor, and when it is asked to."""

import os
import signal
import sys
import threading
from collections.abc import Callable

SUPERVISED = "CSPINE_SUPERVISED"
"""Set in the environment of a process whose standard input is held by a supervisor."""

GRACE_S = 20.0
"""A process that shall end has this long to finish what it does."""


def stop_when_asked(grace_s: float = GRACE_S) -> threading.Event:
    """Returns what is set once this process shall end: by a signal, or because its supervisor has ended.

    Args:
        grace_s: A process that has not ended by itself so long afterwards is ended.
    """
    stop = threading.Event()

    def ask(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            timer = threading.Timer(grace_s, os._exit, (1,))
            timer.daemon = True
            timer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    if os.environ.get(SUPERVISED):
        threading.Thread(target=_wait_for_the_end, args=(ask,), name="cspine-lifeline", daemon=True).start()
    return stop


def _wait_for_the_end(ask: Callable[[], None]) -> None:
    """Waits until the other end of the pipe is closed, as it is when the supervisor ends in whatever way."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    ask()
