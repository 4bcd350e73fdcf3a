"""Writes what the processes of a node say: names of jobs, codes and places in the code, never what an image says of a patient."""

import logging
import sqlite3
import sys
import threading
import traceback
import warnings
from types import TracebackType

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LOUD = ("pydicom", "pynetdicom", "highdicom", "sqlalchemy", "uvicorn", "asyncio", "PIL", "matplotlib")
"""Libraries whose messages may quote values of an image or a request."""


def log_to_stderr(role: str, *, verbose: bool = False) -> None:
    """Sets up logging for a process of the node.

    Args:
        role: What the process does; it stands in every line.
        verbose: Whether it also says what goes well.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(DiscreetFormatter(_FORMAT.replace("%(name)s", f"{role} %(name)s")))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("cspine").setLevel(logging.INFO)
    for library in _LOUD:
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")  # they quote values of images
    threading.excepthook = _log_ended_thread


class DiscreetFormatter(logging.Formatter):
    """Formats an error as its kind and where it happened; its text may quote an image and is left out."""

    def formatException(self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]) -> str:  # noqa: N802
        """Returns the places in the code, the innermost last, and the kind of the error."""
        kind, error, trace = ei
        frames = traceback.extract_tb(trace)
        places = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        return "\n".join([*places, "no error" if kind is None else f"{kind.__name__}{_harmless(error)}"])


def _log_ended_thread(ended: threading.ExceptHookArgs) -> None:
    """Logs what ended a thread, which Python would print with its text."""
    if ended.exc_value is not None:
        about = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        logging.getLogger(__name__).error("a thread ended", exc_info=about)


def _harmless(error: BaseException | None) -> str:
    """Returns what a system or SQLite says of an error; neither quotes a value."""
    said = getattr(error, "orig", error)
    if isinstance(said, sqlite3.OperationalError):
        return f": {said}"
    return f": {said.strerror}" if isinstance(said, OSError) and said.strerror else ""
