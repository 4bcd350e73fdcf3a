"""The engine of many machines: workers of a Ray cluster, each with the model loaded once.

Paths travel, never volumes: all machines see the scans and the folder of the batch under the same names. Nothing is sent to the
makers of Ray.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayActorError, RayTaskError

from cspine.batches.cases import Case, CaseStatus
from cspine.batches.folders import RECORD, Manner, drop_case
from cspine.batches.reader import Read, died
from cspine.batches.scans import read_scan
from cspine.batches.task import Packages, Task
from cspine.batches.worker import Worker
from cspine.errors import InputError, OutputError, UsageError

MEMORY_BYTES = 2 << 30
"""What a worker asks its machine for: the largest study of the benchmarks needs less."""

_TRIES = 2
"""A case whose worker died is tried once more: perhaps the machine went, not the case."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster, and how much of it.

    Attributes:
        address: As Ray writes it, ``auto`` for the one that runs here; ``None`` for that of ``RAY_ADDRESS``, or a new one.
        workers: How many, one processor each; as many as fit if ``None``.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers needs a positive number. Received: {self.workers}")


@contextmanager
def on_cluster(
    task: Task, packages: Packages, cases: Sequence[Case], cluster: Cluster, read: Read = read_scan
) -> Iterator[Iterator[Case]]:
    """Joins a cluster, then hands out the cases as workers have done them, in any order.

    Args:
        task: What is asked; its folder and packages are there on every machine.
        packages: Those of the task.
        cases: What to do.
        cluster: Where.
        read: What reads; a function of a module.

    Raises:
        UsageError: There is no such cluster, or no room on it.
    """
    _join(cluster)
    try:
        count = min(_room(), len(cases), cluster.workers or len(cases))
        actor, manner = ray.remote(num_cpus=1, memory=MEMORY_BYTES)(_Actor), task.manner(packages)
        yield _Crew(task.out, cases, lambda: actor.remote(task, manner, read)).work(count)
    finally:
        ray.shutdown()


class _Actor:
    """A worker on some machine of the cluster."""

    def __init__(self, task: Task, manner: Manner, read: Read) -> None:
        self._task, self._manner, self._read = task, manner, read
        self._worker: Worker | None = None

    def load(self) -> None:
        """Loads the model, which must be that of the others."""
        self._worker = Worker(self._task, threads=1)
        wanted, ours = self._manner, self._worker.manner
        if ours != wanted:
            raise UsageError(
                f"All machines of the cluster need cspine {wanted.cspine} and the package {wanted.model_sha256[:12]}. Received: "
                f"{ours.cspine} and {ours.model_sha256[:12]} on {ray.util.get_node_ip_address()}. Install the same there."
            )

    def do(self, case: Case) -> Case:
        """Does a case."""
        if self._worker is None:
            raise RuntimeError("A worker must load before it works.")
        return self._worker.do(case, lambda: self._read(case.source, self._task.series_uid))


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker does: a case, or loading where that is ``None``."""

    actor: Any
    case: Case | None = None
    tries: int = 0


class _Crew:
    """Workers, what they do, and what is left to do."""

    def __init__(self, out: Path, cases: Sequence[Case], hire: Callable[[], Any]) -> None:
        self._out, self._new_actor = out, hire
        self._left = deque((case, 1) for case in cases)
        self._busy: dict[Any, _Job] = {}

    def work(self, count: int) -> Iterator[Case]:
        """Does all cases with so many workers; one that dies is replaced.

        Raises:
            PackageError: A worker cannot load the package.
        """
        for _ in range(count):
            self._hire()
        while self._busy:
            (answer, *_), _ = ray.wait(list(self._busy), num_returns=1)
            case = self._received(answer, self._busy.pop(answer))
            if case is not None:
                yield case

    def _hire(self) -> None:
        actor = self._new_actor()
        self._busy[actor.load.remote()] = _Job(actor)

    def _received(self, answer: Any, job: _Job) -> Case | None:
        """The case that a worker has done, if any, and the next one for it."""
        try:
            done = ray.get(answer)
        except RayTaskError as error:  # from loading: whatever goes wrong in a case stays in it
            raise (error.cause if isinstance(error.cause, InputError) else error) from None
        except RayActorError as error:
            return self._replaced(job, error)
        if self._left:  # a worker that nobody holds any more goes home
            case, tries = self._left.popleft()
            self._busy[job.actor.do.remote(case)] = _Job(job.actor, case, tries)
        return None if job.case is None else self._seen(done)

    def _replaced(self, job: _Job, error: RayActorError) -> Case | None:
        """Hires another worker for one that died; its case is tried again, or has failed."""
        if job.case is None:
            raise UsageError(
                "A worker of the cluster ended while it loaded the model. Look at its log, or give fewer --workers."
            ) from error
        failed = None
        if job.tries < _TRIES:
            self._left.append((job.case, job.tries + 1))
        else:
            drop_case(self._out, job.case.name)
            failed = job.case.failed(died(job.case.source, f"on {job.tries} workers"))
        if self._left:
            self._hire()
        return failed

    def _seen(self, case: Case) -> Case:
        """The case, if what the worker wrote is here too."""
        if case.status is CaseStatus.FAILED or (self._out / case.name / RECORD).is_file():
            return case
        return case.failed(
            OutputError(f"A worker wrote {case.name}, which is not in {self._out} here. Give an -o that all machines share.")
        )


def _join(cluster: Cluster) -> None:
    address = cluster.address or os.environ.get("RAY_ADDRESS", "local")  # left to itself, Ray may look for one that is long gone
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"A Ray cluster is needed; {address} cannot be joined: {reason}") from error


def _room() -> int:
    """How many workers find room.

    Raises:
        UsageError: None does.
    """
    offers = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = sum(int(min(offer.get("CPU", 0), offer.get("memory", 0) // MEMORY_BYTES)) for offer in offers)
    if count < 1:
        found = ", ".join(f"{offer.get('CPU', 0):g} and {offer.get('memory', 0) / 2**30:.1f} GiB" for offer in offers)
        needed = f"One processor and {MEMORY_BYTES >> 30} GiB of memory"
        raise UsageError(f"{needed} are needed on a machine of the cluster. Received: {found}. Add machines, or free some.")
    return count
