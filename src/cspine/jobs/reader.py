"""Reads scans in a process of its own, one ahead of the network.

Decoders of compressed images are native code that meets whatever is on the disk. What brings one down, or lets it run for ever,
ends that process and one job with it; the batch goes on. And parsing headers, which holds Python's lock, does not wait for the
network. Volumes are read into memory that both processes share, so there is one copy of each.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cspine.errors import StudyError
from cspine.jobs.job import Job, Shard, find_jobs
from cspine.jobs.scans import Scan, read_scan

if TYPE_CHECKING:
    from cspine.concurrency.handover import SharedArrays

if sys.platform != "win32":
    import resource

Read = Callable[[str, str | None], Scan]
"""Reads a source, of several series the named one."""

T = TypeVar("T")


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

TO_INSPECT = Bounds(20.0, 2 << 30)
"""Inspecting one file: whether it is an image, and of which study."""

_NOT_NEEDED = ("requests", "gdcm", "pylibjpeg")
"""What pydicom would import if it found it, which takes as long as pydicom itself, and what reading never asks for."""

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
        scan: Scan = self._call(self._bounds, source, self._read, (source, series_uid))
        return scan

    def inspect(self, inspect: Callable[[Path], T], path: Path, bounds: Bounds = TO_INSPECT) -> T:
        """Returns what a function of a module finds at a path; a :class:`cspine.reading.FileGuard`.

        Raises:
            StudyError: It cannot be read, or the process died over it.
        """
        found: T = self._call(bounds, str(path), inspect, (path,))
        return found

    def find(self, paths: Sequence[Path], shard: Shard | None = None) -> tuple[Job, ...]:
        """Returns the jobs under some paths, as :func:`cspine.jobs.job.find_jobs` does.

        The process lists them at once; where it dies or takes long, each file is inspected in a call of its own.

        Args:
            paths: Studies, or folders of them.
            shard: Only the jobs of this share.
        """
        try:
            jobs: tuple[Job, ...] = self._call(TO_INSPECT, str(paths[0]), find_jobs, (tuple(paths), shard))
        except StudyError:
            return () if self._ended else find_jobs(paths, shard, self.inspect)
        return jobs

    def _call(self, bounds: Bounds, source: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
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
        if _is_small():
            return _begun(multiprocessing.get_context("fork"), copied=True)
        return _begun(multiprocessing.get_context("spawn"), copied=False)

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
    """Hands out jobs, each with its scan, and reads the next scan meanwhile: at most two are in memory.

    The reading process ends when the last one was read.
    """

    def __init__(self, reader: Reader, jobs: Iterable[Job], series_uid: str | None) -> None:
        """Begins to read the first.

        Args:
            reader: Reads; it is ended with this.
            jobs: What to read, in this order; the next one is asked for when the one before is handed out.
            series_uid: Which series, where a study holds several.
        """
        self._reader, self._jobs, self._series_uid = reader, iter(jobs), series_uid
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cspine-read")
        self._next = self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.end()
        self._thread.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[Job, Callable[[], Scan]]]:
        """Yields each job with a function that returns its scan, or raises what is wrong with it."""
        while self._next is not None:
            job, scan = self._next
            self._next = self._begin()
            if self._next is None:
                scan.add_done_callback(lambda _: self._reader.end())  # its memory is the network's now
            yield job, scan.result

    def _begin(self) -> tuple[Job, Future[Scan]] | None:
        job = next(self._jobs, None)
        return None if job is None else (job, self._thread.submit(self._reader.read, job.source, self._series_uid))


def _is_small() -> bool:
    """Says whether this process has just begun: without numpy, and with one thread alone, those of libraries counted.

    A copy of it is there at once, and holds no lock of another thread and no connection.
    """
    try:
        return "numpy" not in sys.modules and len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208  # of Linux
    except OSError:
        return False


def _begun(context: Any, *, copied: bool) -> tuple[BaseProcess, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, ours if copied else None), daemon=True, name="cspine-reader")
    process.start()
    theirs.close()
    return process, ours


def _serve(connection: Connection, other_end: Connection | None) -> None:
    """Runs in the child process until there are no more calls.

    Args:
        connection: Where calls come from.
        other_end: Its other end, where this process has a copy of it: as long as that is open, the end of the parent goes unseen.
    """
    if other_end is not None:
        other_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent decides
    sys.modules.update({name: None for name in _NOT_NEEDED if name not in sys.modules})  # type: ignore[misc]  # not importable
    with suppress(Exception):  # before the first call; what fails here fails again in a call, and is reported there
        import_module("cspine.reading.studies")
    while True:
        try:
            _answer(connection, *connection.recv())
        except (EOFError, OSError):
            return


def _answer(connection: Connection, memory_bytes: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    from cspine.concurrency import handover  # with numpy, which a process begins without

    most_bytes = _held_to(memory_bytes)
    with handover.handing_over(most_bytes) if handover.POSSIBLE else nullcontext() as arrays:
        try:
            answer = function(*arguments)
        except Exception as error:
            answer = _portable(error)
        _send(connection, answer, arrays)


def _held_to(memory_bytes: int) -> int:
    """Lets what asks for more meet a MemoryError, instead of everybody else on the machine meeting the want of it.

    Returns:
        The bytes that may be taken: fewer where this process was held to fewer from the start.
    """
    if sys.platform != "linux":  # elsewhere the limit is not of what is written to
        return memory_bytes
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
    return wanted


def _send(connection: Connection, answer: object, arrays: "SharedArrays | None") -> None:
    """Sends an answer; shared arrays are handed over, others go as they are, piece by piece, without a copy on this side."""
    buffers: list[pickle.PickleBuffer] = []
    connection.send_bytes(pickle.dumps(answer, protocol=5, buffer_callback=buffers.append))
    views = [buffer.raw() for buffer in buffers]
    handles = [None if arrays is None else arrays.handle_of(view) for view in views]
    connection.send([(view.nbytes, handle is not None) for view, handle in zip(views, handles, strict=True)])
    for view, handle in zip(views, handles, strict=True):
        if handle is not None:
            send_handle(connection, handle, os.getppid())
            continue
        for begin in range(0, view.nbytes, _PIECE):
            connection.send_bytes(view[begin : begin + _PIECE])


def _received(connection: Connection) -> object:
    text = connection.recv_bytes()
    buffers = [_received_array(connection, size, shared) for size, shared in connection.recv()]
    return pickle.loads(text, buffers=buffers)  # from our own child


def _received_array(connection: Connection, size: int, shared: bool) -> Any:
    """Returns a buffer that may be written to."""
    if shared:
        from cspine.concurrency.handover import taken

        return taken(recv_handle(connection), size)
    buffer = bytearray(size)
    for begin in range(0, size, _PIECE):
        connection.recv_bytes_into(memoryview(buffer)[begin : begin + _PIECE])
    return buffer


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
