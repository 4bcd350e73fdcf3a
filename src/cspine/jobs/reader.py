"""Reads scans in a process of its own, one ahead of the network.

Decoders of compressed images are native code that meets whatever is on the disk. What brings one down, or lets it run for ever,
ends that process and one job with it; the batch goes on. And parsing headers, which holds Python's lock, does not wait for the
network.
"""

import multiprocessing
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from cspine.errors import StudyError
from cspine.jobs.job import Job
from cspine.jobs.scans import Scan, read_scan

if sys.platform != "win32":
    import resource

Read = Callable[[str, str | None], Scan]
"""Reads a source, of several series the named one."""

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sets the limits of one call of the reading process.

    Attributes:
        within_s: Time; what is not done within it never will be.
        memory_bytes: Memory, on systems that can hold a process to it.
    """

    within_s: float
    memory_bytes: int


TO_READ = Bounds(600.0, 6 << 30)
"""A study: the largest volume that is read takes 4 GiB."""

TO_LOOK = Bounds(20.0, 2 << 30)
"""A look at one file: whether it is an image, and of which study."""

_PIECE = 1 << 20
"""Bytes that go through the pipe at once."""


class Reader:
    """Reads scans in a child process, which is started again when it dies."""

    def __init__(self, read: Read = read_scan, bounds: Bounds = TO_READ) -> None:
        """Starts the process.

        Args:
            read: Reads a study; a function of a module.
            bounds: What it may take over one.
        """
        self._read, self._bounds = read, bounds
        self._lock, self._ended = threading.Lock(), False
        self._process, self._connection = self._begin()

    def read(self, source: str, series_uid: str | None) -> Scan:
        """Reads one study.

        Raises:
            StudyError: It cannot be read, or the process died over it.
        """
        scan: Scan = self._called(self._bounds, source, self._read, (source, series_uid))
        return scan

    def look(self, look: Callable[[Path], Seen], path: Path, bounds: Bounds = TO_LOOK) -> Seen:
        """Returns what a function of a module finds at a path; a :class:`cspine.reading.Guard`.

        Raises:
            StudyError: It cannot be read, or the process died over it.
        """
        found: Seen = self._called(bounds, str(path), look, (path,))
        return found

    def _called(self, bounds: Bounds, source: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            self._connection.send((bounds.memory_bytes, function, arguments))
            if not self._connection.poll(bounds.within_s):
                self._begin_again()
                raise _stuck(source, bounds.within_s)
            answer = _received(self._connection)
        except (EOFError, OSError) as error:
            raise died(source, self._begin_again()) from error
        if isinstance(answer, MemoryError):
            raise _too_large(source, bounds.memory_bytes) from answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends the process, whatever it does; a call that waits for it fails."""
        with self._lock:
            self._ended = True
            self._process.kill()
            self._process.join()

    def _begin(self) -> tuple[BaseProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True, name="cspine-reader")
        process.start()
        theirs.close()
        return process, ours

    def _begin_again(self) -> str:
        """Puts another process in the place of this one.

        Returns:
            How this one ended.
        """
        with self._lock:
            self._process.join(1.0)
            self._process.kill()
            self._process.join()
            code = self._process.exitcode or 0
            self._connection.close()
            if not self._ended:
                self._process, self._connection = self._begin()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class ReadAhead:
    """Hands out jobs, each with its scan, and reads the next scan meanwhile: at most two are in memory."""

    def __init__(self, reader: Reader, jobs: Sequence[Job], series_uid: str | None) -> None:
        """Begins to read the first.

        Args:
            reader: Reads; it is ended with this.
            jobs: What to read, in this order.
            series_uid: Which series, where a study holds several.
        """
        self._reader, self._jobs, self._series_uid = reader, jobs, series_uid
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cspine-read")
        self._next = self._begin(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.end()
        self._thread.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[Job, Callable[[], Scan]]]:
        """Yields each job with a function that returns its scan, or raises what is wrong with it."""
        for number, job in enumerate(self._jobs):
            scan = self._next
            self._next = self._begin(number + 1)
            if scan is not None:
                yield job, scan.result

    def _begin(self, number: int) -> Future[Scan] | None:
        if number >= len(self._jobs):
            return None
        return self._thread.submit(self._reader.read, self._jobs[number].source, self._series_uid)


def _serve(connection: Connection) -> None:
    """Runs in the child process until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent decides
    while True:
        try:
            memory_bytes, function, arguments = connection.recv()
            _hold_to(memory_bytes)
            try:
                answer = function(*arguments)
            except Exception as error:
                answer = _portable(error)
            _send(connection, answer)
            del answer
        except (EOFError, OSError):
            return


def _hold_to(memory_bytes: int) -> None:
    """Lets what asks for more meet a MemoryError, instead of everybody else on the machine meeting the want of it."""
    if sys.platform == "linux":  # elsewhere the limit is not of what is written to
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))


def _send(connection: Connection, answer: object) -> None:
    """Sends an answer; arrays go as they are, piece by piece, without a copy on this side."""
    buffers: list[pickle.PickleBuffer] = []
    connection.send_bytes(pickle.dumps(answer, protocol=5, buffer_callback=buffers.append))
    views = [buffer.raw() for buffer in buffers]
    connection.send([view.nbytes for view in views])
    for view in views:
        for begin in range(0, view.nbytes, _PIECE):
            connection.send_bytes(view[begin : begin + _PIECE])


def _received(connection: Connection) -> object:
    text = connection.recv_bytes()
    buffers = [np.empty(size, np.uint8) for size in connection.recv()]
    for buffer in buffers:
        for begin in range(0, len(buffer), _PIECE):
            connection.recv_bytes_into(buffer[begin : begin + _PIECE])
    return pickle.loads(text, buffers=buffers)  # from our own child


def _portable(error: Exception) -> Exception:
    """Returns an error that can be sent, with what it says about its origin."""
    if not isinstance(error, StudyError):
        error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def died(source: str, how: str) -> StudyError:
    """Returns the refusal of a scan over which a process died."""
    name = Path(source).name
    error = StudyError(f"{name} cannot be read: the process that read it died ({how}). Copy it again from where it came.")
    error.code = "reader_died"
    return error


def _too_large(source: str, memory_bytes: int) -> StudyError:
    name = Path(source).name
    error = StudyError(
        f"Reading may take {memory_bytes / 2**30:g} GiB of memory, or less where there is less; {name} needs more. "
        "Give one CT series, or free memory."
    )
    error.code = "too_little_memory"
    return error


def _stuck(source: str, within_s: float) -> StudyError:
    name = Path(source).name
    error = StudyError(f"A study must be read within {within_s:g} s; {name} took longer. Copy it again, or to a faster disk.")
    error.code = "reader_stuck"
    return error
