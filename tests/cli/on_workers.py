"""Functions that workers of a cluster are made to call; they find them by their names."""

import os
import signal
from pathlib import Path

from cspine.errors import UsageError


def die_once(marker: str, dies: bool, number: int) -> int:
    """Ends its process with SIGKILL where it shall and has not yet."""
    if dies and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die(_: int) -> None:
    """Ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(_: int) -> None:
    """Says what is wrong."""
    raise UsageError("Not this one.")


def divide(number: int) -> float:
    """Has a fault where it is given 0."""
    return 1 / number
