"""The engine of one machine: one model, and a process that reads one study ahead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cspine.batches.cases import Case
from cspine.batches.reader import ReadAhead, Reader
from cspine.batches.task import Task
from cspine.batches.worker import Worker
from cspine.modelpack import Manifest, Package


@contextmanager
def on_this_machine(task: Task, package: Package[Manifest], cases: Sequence[Case]) -> Iterator[Iterator[Case]]:
    """Loads the model while the first study is read, then hands out the cases as they are done.

    Args:
        task: What is asked.
        package: The model package of the task.
        cases: What to do, in this order.

    Raises:
        PackageError: The package cannot be used.
    """
    with ReadAhead(Reader(), cases, task.series_uid) as scans:
        worker = Worker(task, package)
        yield (worker.do(case, read) for case, read in scans)
