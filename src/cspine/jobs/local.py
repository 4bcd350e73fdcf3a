"""The engine of one machine: one model, and a process that reads one study ahead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cspine.jobs.job import Job
from cspine.jobs.reader import ReadAhead, Reader

if TYPE_CHECKING:
    from cspine.jobs.task import Packages, Task


@contextmanager
def on_this_machine(task: "Task", packages: "Packages", jobs: Sequence[Job], reader: Reader) -> Iterator[Iterator[Job]]:
    """Loads the model while the first study is read, then hands out the jobs as they are done.

    Args:
        task: What is done.
        packages: Those of the task.
        jobs: What to do, in this order.
        reader: Reads the studies; it is ended with this.

    Raises:
        PackageError: The package cannot be used.
    """
    with ReadAhead(reader, jobs, task.series_uid) as scans:
        from cspine.jobs.worker import Worker

        worker = Worker(task, packages)
        yield (worker.do(job, read) for job, read in scans)
