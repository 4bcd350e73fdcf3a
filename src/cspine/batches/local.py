"""The engine of one machine: one model, and a process that reads one study ahead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cspine.batches.cases import Case
from cspine.batches.reader import ReadAhead, Reader
from cspine.batches.task import Packages, Task
from cspine.batches.worker import Worker


@contextmanager
def on_this_machine(task: Task, packages: Packages, cases: Sequence[Case]) -> Iterator[Iterator[Case]]:
    """Loads the model while the first study is read, then hands out the cases as they are done.

    Args:
        task: What is asked.
        packages: Those of the task.
        cases: What to do, in this order.

    Raises:
        PackageError: The package cannot be used.
    """
    with ReadAhead(Reader(), cases, task.series_uid) as scans:
        worker = Worker(task, packages)
        yield (worker.do(case, read) for case, read in scans)
