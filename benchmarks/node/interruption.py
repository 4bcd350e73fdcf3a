"""Lets a long run end early with what it has measured."""

import signal
import threading
from types import FrameType


def interruption() -> threading.Event:
    """Returns what is set when this process is interrupted (SIGINT, SIGTERM); the second interruption ends the process."""
    enough = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        enough.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return enough
