"""A process that reads damaged inputs, which may die, hang, or ask for all memory there is."""

import contextlib
import io
import logging
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.fuzz.subject import Subject
from cspine.errors import CspineError

MEMORY_BYTES = 4 << 30
"""What one input may ask for, beside what the process has before."""

GOOD = ("read", "refused", "redone")
"""What may come of a damaged input."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Holds what came of one input.

    Attributes:
        seed: Of all chance.
        kind: Of file.
        number: Of the input.
        what: ``read``, ``refused`` or ``redone``; or ``traceback``, ``lines`` (a refusal of several), ``hung``, ``died``.
        outcome: The refusal, or where it broke.
        seconds: How long it took.
        peak_mib: What the process held at most meanwhile.
    """

    seed: int
    kind: str
    number: int
    what: str
    outcome: str = ""
    seconds: float = 0.0
    peak_mib: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """Says what a process shall do.

    Attributes:
        seed: Of all.
        kind: Which subject.
        number: Of the input.
    """

    seed: int
    kind: str
    number: int


def outcomes(orders: Iterable[Order], within_s: float, subjects: str = "benchmarks.fuzz.subjects") -> Iterator[Outcome]:
    """Yields what comes of inputs; a process that dies or hangs is counted, and another one goes on.

    Args:
        orders: The inputs.
        within_s: Seconds after which a reader hangs.
        subjects: The module that has the kinds, as ``SUBJECTS``.
    """
    with tempfile.TemporaryDirectory(prefix="cspine-fuzz-") as folder:
        guard = _Guard(Path(folder), subjects)
        try:
            for order in orders:
                yield guard.do(order, within_s)
        finally:
            guard.end()


class _Guard:
    def __init__(self, folder: Path, subjects: str) -> None:
        self._folder, self._subjects = folder, subjects
        self._begin()

    def _begin(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, self._folder, self._subjects), daemon=True
        )
        self._process.start()
        theirs.close()
        self._connection = ours

    def do(self, order: Order, within_s: float) -> Outcome:
        """Tries one input; what is slow only because valid files are made, or libraries loaded, is not counted."""
        self._connection.send(order.kind)
        if self._connection.recv() != "ready":
            raise RuntimeError(f"The valid files of {order.kind} cannot be made.")
        begin = time.monotonic()
        try:
            self._connection.send(order)
            if self._connection.poll(within_s):
                found: Outcome = self._connection.recv()
                return found
            what, outcome = "hung", f"more than {within_s:g} s"
        except (EOFError, OSError):
            self._process.join(5)
            what, outcome = "died", f"exit code {self._process.exitcode}"
        self.end()
        self._begin()
        return Outcome(order.seed, order.kind, order.number, what, outcome, round(time.monotonic() - begin, 2))

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection, folder: Path, module: str) -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ["XDG_CACHE_HOME"] = str(folder / ".remembered")
    subjects: dict[str, Subject] = import_module(module).SUBJECTS
    ready: dict[str, Path] = {}
    while True:
        try:
            kind = connection.recv()
        except EOFError:
            return
        subject = subjects[kind]
        if kind not in ready:
            with contextlib.redirect_stdout(io.StringIO()):
                ready[kind] = _made(subject, folder)
        connection.send("ready")
        connection.send(_tried(connection.recv(), subject, ready[kind]))


def _made(subject: Subject, folder: Path) -> Path:
    """Returns the valid files, which are read once, so that what is imported or compiled is there."""
    valid = folder / subject.name
    if not valid.exists():
        partial = Path(tempfile.mkdtemp(dir=folder))
        subject.make(partial)
        partial.rename(valid)
    with _copied(valid) as copy:
        if subject.read(copy) == "redone":
            raise RuntimeError(f"The valid files of {subject.name} must be read as they are.")
    return valid


@contextlib.contextmanager
def _copied(valid: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cspine-fuzz-one-") as folder:
        copy = Path(folder) / "files"
        shutil.copytree(valid, copy)
        yield copy


def _tried(order: Order, subject: Subject, valid: Path) -> Outcome:
    rng = random.Random(f"{order.seed} {order.kind} {order.number}")
    with _copied(valid) as copy, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        subject.spoil(copy, rng)
        _forget_peak()
        begin = time.monotonic()
        with _limited_memory():
            what, outcome = _read(subject, copy)
        return Outcome(
            order.seed, order.kind, order.number, what, outcome, round(time.monotonic() - begin, 3), _status("VmHWM") >> 20
        )


def _read(subject: Subject, folder: Path) -> tuple[str, str]:
    try:
        return subject.read(folder), ""
    except CspineError as error:
        text = str(error)
        return (
            "refused" if text and text.isprintable() and len(text) < 2000 else "lines"
        ), f"{type(error).__name__}: {text!r:.300}"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in last if "cspine" in frame.filename] or last
        place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(own[-3:]))
        return "traceback", f"{type(error).__name__}: {' '.join(str(error).split())!r:.160} at {place}"


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + MEMORY_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _status(name: str) -> int:
    """Returns a number of bytes that Linux tells of this process."""
    with Path("/proc/self/status").open() as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(f"{name}:"))


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
