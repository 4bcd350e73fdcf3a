"""The engine of many machines: workers of a Ray cluster, each with the model loaded once.

Paths travel, never volumes: all machines see the scans and the folder of the batch under the same names.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from cspine.errors import InputError, OutputError, UsageError
from cspine.jobs.folders import RECORD, Provenance, drop_job
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.joining import Cluster, Needs, joined, room
from cspine.jobs.reader import Read, died
from cspine.jobs.scans import read_scan
from cspine.jobs.task import Packages, Task
from cspine.jobs.worker import Worker

MEMORY_BYTES = 2 << 30
"""What a worker asks its machine for: the largest study of the benchmarks needs less."""

_TRIES = 2
"""A job whose worker died is tried once more: perhaps the machine went, not the job."""


@contextmanager
def on_cluster(
    task: Task, packages: Packages, jobs: Sequence[Job], cluster: Cluster, read: Read = read_scan
) -> Iterator[Iterator[Job]]:
    """Joins a cluster, then hands out the jobs as workers have done them, in any order.

    Args:
        task: What is done; its folder and packages are there on every machine.
        packages: Those of the task.
        jobs: What to do.
        cluster: Where.
        read: What reads; a function of a module.

    Raises:
        UsageError: There is no such cluster, or no room on it.
    """
    needs = Needs(MEMORY_BYTES)
    with joined(cluster):
        count = min(room(needs), len(jobs), cluster.workers or len(jobs))
        actor, provenance = ray.remote(**needs.options)(_Actor), task.provenance(packages)
        yield _WorkerPool(task.out, jobs, lambda: actor.remote(task, provenance, read)).work(count)


class _Actor:
    """A worker on some machine of the cluster."""

    def __init__(self, task: Task, provenance: Provenance, read: Read) -> None:
        self._task, self._provenance, self._read = task, provenance, read
        self._worker: Worker | None = None

    def load(self) -> None:
        """Loads the model, which must be that of the others."""
        self._worker = Worker(self._task, threads=1)
        wanted, ours = self._provenance, self._worker.provenance
        if ours != wanted:
            raise UsageError(
                f"All machines of the cluster need cspine {wanted.cspine} and the package {wanted.model_sha256[:12]}. Received: "
                f"{ours.cspine} and {ours.model_sha256[:12]} on {ray.util.get_node_ip_address()}. Install the same there."
            )

    def do(self, job: Job) -> Job:
        """Does a job."""
        if self._worker is None:
            raise RuntimeError("A worker must load before it works.")
        return self._worker.do(job, lambda: self._read(job.source, self._task.series_uid))


@dataclass(frozen=True, slots=True)
class _Assignment:
    """Holds what a worker does: a job, or loading where that is ``None``."""

    actor: Any
    job: Job | None = None
    tries: int = 0


class _WorkerPool:
    """Workers, what they do, and what is left to do."""

    def __init__(self, out: Path, jobs: Sequence[Job], hire: Callable[[], Any]) -> None:
        self._out, self._new_actor = out, hire
        self._left = deque((job, 1) for job in jobs)
        self._busy: dict[Any, _Assignment] = {}

    def work(self, count: int) -> Iterator[Job]:
        """Does all jobs with so many workers; one that dies is replaced.

        Raises:
            PackageError: A worker cannot load the package.
        """
        for _ in range(count):
            self._hire()
        while self._busy:
            (answer, *_), _ = ray.wait(list(self._busy), num_returns=1)
            job = self._received(answer, self._busy.pop(answer))
            if job is not None:
                yield job

    def _hire(self) -> None:
        actor = self._new_actor()
        self._busy[actor.load.remote()] = _Assignment(actor)

    def _received(self, answer: Any, given: _Assignment) -> Job | None:
        """Returns the job that a worker has done, if any, and gives it the next one."""
        try:
            done = ray.get(answer)
        except RayTaskError as error:  # from loading: whatever goes wrong in a job stays in it
            raise (error.cause if isinstance(error.cause, InputError) else error) from None
        except RayActorError as error:
            return self._replaced(given, error)
        if self._left:  # an idle worker without a reference ends
            job, tries = self._left.popleft()
            self._busy[given.actor.do.remote(job)] = _Assignment(given.actor, job, tries)
        return None if given.job is None else self._seen(done)

    def _replaced(self, given: _Assignment, error: RayActorError) -> Job | None:
        """Hires another worker for one that died; its job is tried again, or has failed."""
        if given.job is None:
            raise UsageError(
                "A worker of the cluster ended while it loaded the model. Read its log, or give fewer --workers."
            ) from error
        failed = None
        if given.tries < _TRIES:
            self._left.append((given.job, given.tries + 1))
        else:
            drop_job(self._out, given.job.name)
            failed = given.job.failed(died(given.job.source, f"on {given.tries} workers"))
        if self._left:
            self._hire()
        return failed

    def _seen(self, job: Job) -> Job:
        """Returns the job, failed unless what the worker wrote is here too."""
        if job.status is JobStatus.FAILED or (self._out / job.name / RECORD).is_file():
            return job
        return job.failed(
            OutputError(f"A worker wrote {job.name}, which is not in {self._out} here. Give an -o that all machines share.")
        )
