"""Finds fractures of the cervical spine in CT scans.

For every study a folder appears under OUT, with result.json and a picture; OUT/run.json lists them all, OUT/failures.csv those
without a judgement. --format html gives every study a page, and OUT/index.html an overview; html-uids a page with identifiers.
A study is a folder of one CT series, a zip of it or a NIfTI file; a folder of such studies is taken as many. Research software, not
a medical device.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from cspine.batches.cases import Case, CaseStatus, Shard, find_cases
from cspine.batches.folders import Manner, clear_leftovers, drop_case, kept
from cspine.batches.journal import JOURNAL, Journal, journal_files
from cspine.batches.task import Packages, Task
from cspine.cli.progress import progress
from cspine.cli.report import exit_code, print_summary
from cspine.errors import UsageError
from cspine.reporting import FORMATS, chosen
from cspine.reporting.table import PAGES
from cspine.runtime import Device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="folder, zip or NIfTI file of a study, or a folder of studies"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--model", metavar="PACKAGE", help="model package: a folder, or a name that `cspine models` lists")
    parser.add_argument("--localiser", metavar="PACKAGE", help="package that finds the vertebrae (default: the shipped one)")
    parser.add_argument("--series", metavar="UID", help="Series Instance UID, where a study holds several")
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
    many.add_argument("--resume", action="store_true", help="keep the whole cases of an earlier run, do the rest")
    many.add_argument(
        "--shard", metavar="i/n", help="do the i-th of n shares only; the others may run elsewhere, into the same OUT"
    )
    many.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="who works: this machine, or a Ray cluster (default: local)"
    )
    many.add_argument("--cluster", metavar="ADDRESS", help="with ray: the cluster (default: RAY_ADDRESS, or a new one here)")
    many.add_argument("--workers", type=int, metavar="N", help="with ray: workers, a processor each; as many as fit if not given")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    task = _task(options)
    shard = None if options.shard is None else Shard.parse(options.shard)
    packages = task.load()
    manner = task.manner(packages)
    cases = find_cases(options.paths, shard)
    done = {case.name: case for case in _kept(task.out, cases, manner)} if options.resume else {}
    waiting = [case for case in cases if case.status is CaseStatus.WAITING and case.name not in done]
    try:
        with (
            _tidy(task.out, cases, journal_files(shard)),
            _working(options, task, packages, waiting) as working,
            _terminate_like_interrupt(),  # after Ray, which has a way of its own
            Journal(options.out, _facts(packages, manner), [done.get(case.name, case) for case in cases], shard) as journal,
        ):
            for case in progress(working, len(waiting), "studies"):
                journal.note(case)
    except KeyboardInterrupt:
        _write_overview(task)
        raise
    print_summary(options.out, journal)
    _write_overview(task)
    return exit_code(journal.cases)


def _write_overview(task: Task) -> None:
    """An overview of what is done, where pages are asked for."""
    if PAGES.intersection(task.formats) and (task.out / JOURNAL).is_file():
        from cspine.reporting.pages.overview import write_overview

        sys.stdout.write(f"Wrote {write_overview(task.out)}\n")


def _task(options: argparse.Namespace) -> Task:
    if options.engine != "ray" and (options.cluster or options.workers):
        raise UsageError("--cluster and --workers need --engine ray. Received: --engine local.")
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
    options: argparse.Namespace, task: Task, packages: Packages, cases: Sequence[Case]
) -> AbstractContextManager[Iterator[Case]]:
    """Whoever does the cases; where none is left, nobody."""
    if not cases:
        return nullcontext(iter(()))
    if options.engine == "ray":
        from cspine.batches.cluster import Cluster, on_cluster

        return on_cluster(task, packages, cases, Cluster(options.cluster, options.workers))
    from cspine.batches.local import on_this_machine

    return on_this_machine(task, packages, cases)


def _facts(packages: Packages, manner: Manner) -> dict[str, Any]:
    """What the journal says about the whole run."""
    about = {
        role: {"name": package.manifest.name, "version": package.manifest.version, "sha256": package.sha256}
        for role, package in (("model", packages.model), ("localiser", packages.localiser))
    }
    return {**about, "operating_point": manner.operating_point}


def _kept(out: Path, cases: Sequence[Case], manner: Manner) -> list[Case]:
    found = (kept(out, case, manner) for case in progress(cases, len(cases), "looking"))
    return [case for case in found if case is not None]


def _everywhere(model: str | None) -> str | None:
    """A package as other machines and folders know it: by its name, or by its whole path."""
    return model if model is None or not Path(model).is_dir() else str(Path(model).absolute())


@contextmanager
def _tidy(out: Path, cases: Sequence[Case], files: Sequence[str]) -> Iterator[None]:
    """Nothing half written before and after, and no result of a case that failed before it was read."""
    names = {case.name for case in cases} | set(files)
    clear_leftovers(out, names)
    for case in cases:
        if case.status is CaseStatus.FAILED:
            drop_case(out, case.name)
    try:
        yield
    finally:
        clear_leftovers(out, names)


@contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """A polite request to end is taken like Ctrl-C, so that what is half done is cleared away."""
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
