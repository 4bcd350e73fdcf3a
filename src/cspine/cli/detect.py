"""Finds fractures of the cervical spine in CT scans.

For every study a folder appears under OUT, with result.json and a picture; OUT/run.json lists them all, OUT/failures.csv those
without a result. --format html gives every study a page, and OUT/index.html an overview; html-uids a page with identifiers.
A study is a folder of one CT series, a zip of it or a NIfTI file; a folder of such studies is taken as many. Research software, not
a medical device.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cspine.cli.engine import add_engine, check_engine, cluster_of
from cspine.cli.progress import progress
from cspine.cli.report import exit_code, print_summary
from cspine.concurrency.processors import processors
from cspine.errors import UsageError
from cspine.jobs.folders import Provenance, drop_job, kept
from cspine.jobs.job import Job, JobStatus, Shard
from cspine.jobs.journal import JOURNAL, Journal
from cspine.jobs.occupancy import occupied
from cspine.jobs.reader import Reader
from cspine.reporting import FORMATS, chosen
from cspine.reporting.table import OVERVIEW, PAGES
from cspine.runtime import Device
from cspine.storage.files import clear_unfinished

if TYPE_CHECKING:
    from cspine.jobs.task import Packages, Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="folder, zip or NIfTI file of a study, or a folder of studies"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--model", metavar="PACKAGE", help="model package: a folder, or a name that `cspine models` lists")
    parser.add_argument("--localiser", metavar="PACKAGE", help="package that finds the vertebrae (default: the shipped one)")
    parser.add_argument("--series", metavar="UID", help="use this series, or UID#n for one stack of it; cspine info lists them")
    parser.add_argument(
        "--format",
        default="json,png",
        help=f"what to write, separated by commas: {', '.join(FORMATS)}; json is always written (default: json,png)",
    )
    parser.add_argument(
        "--device", choices=[device.value for device in Device], default="auto", help="where to run the network (default: auto)"
    )
    parser.add_argument("--operating-point", metavar="NAME", help="set of thresholds; the package's default if not given")
    many = parser.add_argument_group("many studies")
    many.add_argument("--resume", action="store_true", help="keep the finished jobs of an earlier run, do the rest")
    many.add_argument(
        "--shard", metavar="i/n", help="do the i-th of n shares only; the others may run elsewhere, into the same OUT"
    )
    many.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="studies at a time, each in a process of its own (default: 1)"
    )
    add_engine(many)


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    _check(options)
    shard = _shard(options)
    with ThreadPoolExecutor(2) as threads, Reader() as reader:  # it starts before this process has threads or numpy
        found = threads.submit(reader.find, options.paths, shard)
        task = _task(options)
        packages = task.load()
        with occupied(task.out, shard):
            if options.engine == "local" and options.jobs == 1:
                threads.submit(_import_what_predicts)  # while studies are found, and the first one is read
            return _run(options, task, packages, found.result(), reader)


def _import_what_predicts() -> None:
    """Imports what the worker will; what fails here fails again there."""
    with suppress(Exception):
        import_module("cspine.jobs.worker")
        import_module("cspine.runtime.openvino")


def _run(options: argparse.Namespace, task: "Task", packages: "Packages", jobs: Sequence[Job], reader: Reader) -> int:
    provenance = task.provenance(packages)
    done = {job.name: job for job in _kept(task.out, jobs, provenance)} if options.resume else {}
    waiting = [job for job in jobs if job.status is JobStatus.WAITING and job.name not in done]
    try:
        with (
            _tidy(task.out, jobs),
            _working(options, task, packages, waiting, reader) as working,
            _terminate_like_interrupt(),  # after Ray, which has a way of its own
            Journal(
                options.out, _facts(packages, provenance), [done.get(job.name, job) for job in jobs], _shard(options)
            ) as journal,
        ):
            for job in progress(working, len(waiting), "studies"):
                journal.note(job)
    except KeyboardInterrupt:
        _write_overview(task)
        raise
    print_summary(options.out, journal, kept=len(done))
    _write_overview(task)
    return exit_code(journal.jobs)


def _check(options: argparse.Namespace) -> None:
    check_engine(options)
    if options.engine == "ray" and options.jobs != 1:
        raise UsageError("--jobs is for this machine. With --engine ray, give --workers.")
    if not 1 <= options.jobs <= processors():
        raise UsageError(f"--jobs needs a number from 1 to {processors()}, one for each processor. Received: {options.jobs}.")
    if options.jobs > 1 and options.device == Device.GPU:
        raise UsageError("--jobs is for processors. With --device gpu, leave it out.")


def _shard(options: argparse.Namespace) -> Shard | None:
    return None if options.shard is None else Shard.parse(options.shard)


def _write_overview(task: "Task") -> None:
    """Writes an overview of what is done, where pages are asked for or one is there already."""
    wanted = PAGES.intersection(task.formats) or (task.out / OVERVIEW).is_file()
    if wanted and (task.out / JOURNAL).is_file():
        from cspine.reporting.pages.overview import write_overview

        sys.stdout.write(f"Wrote {write_overview(task.out)}\n")


def _task(options: argparse.Namespace) -> "Task":
    from cspine.jobs.task import Task

    return Task(
        out=options.out.absolute(),
        formats=chosen(options.format),
        model=_everywhere(options.model),
        localiser=_everywhere(options.localiser),
        operating_point=options.operating_point,
        series_uid=options.series,
        device=Device(options.device),
    )


def _working(
    options: argparse.Namespace, task: "Task", packages: "Packages", jobs: Sequence[Job], reader: Reader
) -> AbstractContextManager[Iterator[Job]]:
    """Returns what does the jobs; an empty iterator where none is left."""
    if not jobs:
        return nullcontext(iter(()))
    if options.engine == "ray":
        from cspine.jobs.cluster import on_cluster

        return on_cluster(task, packages, jobs, cluster_of(options))
    if options.jobs > 1:
        from cspine.jobs.processes import in_processes

        reader.end()  # each process has one
        return in_processes(task, jobs, options.jobs)
    from cspine.jobs.local import on_this_machine

    return on_this_machine(task, packages, jobs, reader)


def _facts(packages: "Packages", provenance: Provenance) -> dict[str, Any]:
    """Returns what the journal says about the whole run."""
    about = {
        role: {"name": package.manifest.name, "version": package.manifest.version, "sha256": package.sha256}
        for role, package in (("model", packages.model), ("localiser", packages.localiser))
    }
    return {**about, "operating_point": provenance.operating_point}


def _kept(out: Path, jobs: Sequence[Job], provenance: Provenance) -> list[Job]:
    found = (kept(out, job, provenance) for job in progress(jobs, len(jobs), "checking"))
    return [job for job in found if job is not None]


def _everywhere(model: str | None) -> str | None:
    """Returns a package as other machines and folders know it: by its name, or by its whole path."""
    return model if model is None or not Path(model).is_dir() else str(Path(model).absolute())


@contextmanager
def _tidy(out: Path, jobs: Sequence[Job]) -> Iterator[None]:
    """Clears away what is half written, before and after, and results of jobs that failed before they were read."""
    clear_unfinished(out)
    for job in jobs:
        if job.status is JobStatus.FAILED:
            drop_job(out, job.name)
    try:
        yield
    finally:
        clear_unfinished(out)


@contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """Takes a polite request to end like Ctrl-C, so that what is half done is cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
