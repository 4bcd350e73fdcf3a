"""The engine of one machine for many studies: processes side by side, each with the model loaded once and its share of threads.

One process spends much of its time in Python, which uses one processor. Several processes keep all of them busy.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from cspine.concurrency.processors import processors
from cspine.errors import InputError, UsageError
from cspine.jobs.folders import drop_job
from cspine.jobs.job import Job
from cspine.jobs.reader import Read, ReadAhead, Reader, died
from cspine.jobs.scans import read_scan
from cspine.jobs.task import Task
from cspine.jobs.worker import Worker


@contextmanager
def in_processes(task: Task, jobs: Sequence[Job], count: int, read: Read = read_scan) -> Iterator[Iterator[Job]]:
    """Starts processes, then hands out the jobs as they have done them, in any order.

    Args:
        task: What is done.
        jobs: What to do.
        count: How many processes.
        read: What reads; a function of a module.

    Raises:
        PackageError: A process cannot load the package.
        UsageError: One died while it loaded it.
    """
    pool = _Pool(task, jobs, _shares(count), read)
    try:
        yield pool.work()
    finally:
        pool.end()


@dataclass(frozen=True, slots=True)
class _Share:
    """Says what one process may use.

    Attributes:
        threads: Of the networks.
        processors: Which it is bound to; not bound where they are none, as under a quota.
    """

    threads: int
    processors: frozenset[int]


@dataclass(slots=True, eq=False)
class _Process:
    """A process, as its parent knows it.

    Attributes:
        process: The process.
        connection: Jobs go to it, and come back done.
        share: Its processors.
        retries: Whether it tries one job again, over which another process died: perhaps there was no memory for all.
        given: What it has not done yet, first what it is at work on.
        loaded: Whether it has loaded the model.
    """

    process: BaseProcess
    connection: Connection
    share: _Share
    retries: bool
    given: deque[Job] = field(default_factory=deque)
    loaded: bool = False

    def give(self, job: Job | None) -> None:
        """Gives it a job, or says that there is none left; that it has died is seen when it is listened to."""
        if job is not None:
            self.given.append(job)
        with suppress(OSError):
            self.connection.send(job)


class _Pool:
    """Processes, what they do, and what is left to do."""

    def __init__(self, task: Task, jobs: Sequence[Job], shares: Sequence[_Share], read: Read) -> None:
        self._task, self._free, self._read = task, deque(shares), read
        self._left, self._again = deque(jobs), deque[Job]()
        self._busy: dict[Connection, _Process] = {}

    def work(self) -> Iterator[Job]:
        """Does all jobs; a process that dies is replaced."""
        self._fill()
        while self._busy:
            for connection in wait(list(self._busy)):
                job = self._received(self._busy[connection])  # type: ignore[index]  # those that were waited for
                if job is not None:
                    yield job
            self._fill()

    def end(self) -> None:
        """Ends all processes, whatever they do."""
        for one in self._busy.values():
            one.process.kill()
        for one in self._busy.values():
            one.process.join()

    def _fill(self) -> None:
        """Starts processes for what is left; what is tried again has one of its own, where no other job ends it."""
        started = []
        while self._free and (self._left or self._again):
            one = self._started(retries=bool(self._again))
            started.append(one)
            one.give(self._again.popleft() if one.retries else self._left.popleft())
        for one in started:  # when each has a job: one that it reads while it predicts
            one.give(None if one.retries else self._next())

    def _next(self) -> Job | None:
        return self._left.popleft() if self._left else None

    def _started(self, *, retries: bool) -> _Process:
        context, share = multiprocessing.get_context("spawn"), self._free.popleft()
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._task, share, self._read), name="cspine-worker")
        with _without_interrupts():
            process.start()
        theirs.close()
        self._busy[ours] = _Process(process, ours, share, retries=retries)
        return self._busy[ours]

    def _received(self, one: _Process) -> Job | None:
        """Returns the job that a process has done, if any, and gives it another."""
        try:
            answer = one.connection.recv()
        except (EOFError, OSError):
            return self._ended(one)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            one.loaded = True
            return None
        one.given.popleft()
        one.give(None if one.retries else self._next())
        job: Job = answer
        return job

    def _ended(self, one: _Process) -> Job | None:
        """Notes that a process has ended. If it died, its job is tried again, or has failed."""
        del self._busy[one.connection]
        self._free.append(one.share)
        one.connection.close()
        one.process.join()
        if not one.given:
            return None
        if not one.loaded:
            raise UsageError(f"A process ended while it loaded the model ({_how(one.process)}). Free memory, or give fewer --jobs.")
        job, *untouched = one.given
        self._left.extendleft(reversed(untouched))
        if not one.retries:
            self._again.append(job)
            return None
        drop_job(self._task.out, job.name)
        return job.failed(died(job.source, f"{_how(one.process)}, twice"))


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keeps Ctrl-C from a process that is started: it reaches the parent too, which decides."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _how(process: BaseProcess) -> str:
    code = process.exitcode or 0
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _shares(count: int) -> list[_Share]:
    """Returns the shares of so many processes: neighbouring processors, as these share caches."""
    threads = max(1, processors() // count)
    there = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    bound = there if len(there) == processors() else []
    return [_Share(threads, frozenset(bound[number * threads : (number + 1) * threads])) for number in range(count)]


def _serve(connection: Connection, task: Task, share: _Share, read: Read) -> None:
    """Runs in a process until there are no more jobs, or nobody listens.

    Sends ``None`` when the model is loaded, then each job that is done; or what went wrong with loading.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if share.processors:  # before there are threads; its reading process inherits it
        os.sched_setaffinity(0, share.processors)
    threading.Thread(target=_end_with_parent, name="cspine-parent", daemon=True).start()
    with suppress(EOFError, OSError), ReadAhead(Reader(read), iter(connection.recv, None), task.series_uid) as scans:
        try:
            worker = Worker(task, threads=share.threads)
        except InputError as error:
            connection.send(error)
            return
        connection.send(None)
        for job, scan in scans:
            connection.send(worker.do(job, scan))


def _end_with_parent() -> None:
    """Ends this process when its parent was killed: nobody would hear of what it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
