"""Makes phantoms on a Ray cluster of two machines, both of them this one, kills a worker in the middle, and compares the bytes.

``python -m benchmarks.cluster OUT --studies 20`` makes small phantoms in one process, then the same ones on the cluster, where the
process that makes the middle one is killed (SIGKILL) while it does. It says what both took, how often a piece was tried again, and
whether all files are the same. Ends with 1 where they are not, or where the kill did not cost exactly one retry.
"""

import argparse
import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cspine.phantoms.dataset.collection import Makers, Plan, make_at, make_collection
from cspine.phantoms.dataset.layout import Shares, Size
from cspine.phantoms.dataset.subjects import sample_subject

_MEMORY_BYTES = 2 << 30
_DIES_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Made:
    """Holds what making a collection took.

    Attributes:
        where: One process, or two machines.
        studies: How many were made.
        seconds: On the clock.
        retries: What was said of pieces that were tried again.
    """

    where: str
    studies: int
    seconds: float
    retries: tuple[str, ...] = ()


def made(where: str, plan: Plan, makers: int | Makers, retries: Sequence[str] = ()) -> Made:
    """Makes the studies of a plan, and returns what that took."""
    begin = time.perf_counter()
    count = sum(make_collection(plan, makers))
    return Made(where, count, time.perf_counter() - begin, tuple(retries))


def differences(one: Path, other: Path) -> list[str]:
    """Returns the files that are not the same in both folders, or only in one."""
    first, second = _digests(one), _digests(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def table(rows: Sequence[Made], different: Sequence[str]) -> Iterator[str]:
    """Yields what was measured, as lines of Markdown."""
    yield "| made by | phantoms | clock s | retries |"
    yield "|---|---|---|---|"
    for row in rows:
        yield f"| {row.where} | {row.studies} | {row.seconds:.0f} | {len(row.retries)} |"
    yield f"\nFiles that differ: {len(different)}{''.join(f', {name}' for name in different[:3])}."


def make_or_die(plan: Plan, index: int, dying: int, marker: Path) -> None:
    """Makes one study; the first process that makes the dying one is killed while it does."""
    if index == dying and not marker.exists():
        marker.touch()
        threading.Timer(_DIES_AFTER_S, os.kill, (os.getpid(), signal.SIGKILL)).start()
    make_at(plan, index)


def on_two_machines(address: str, marker: Path, warn: Callable[[str], None], plan: Plan, indices: Sequence[int]) -> Iterator[Any]:
    """Makes studies on the cluster, where the worker dies that makes the middle one."""
    from cspine.jobs.joining import Cluster, Needs, joined
    from cspine.jobs.spreading import Labour, spread

    dying = indices[len(indices) // 2]
    with joined(Cluster(address)):
        labour = Labour("study", make_or_die, Needs(_MEMORY_BYTES), most=2)
        yield from spread(labour, [(plan, index, dying, marker) for index in indices], warn)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="new folder")
    parser.add_argument("--studies", type=int, default=20)
    options = parser.parse_args(arguments)
    out = options.out.absolute()
    out.mkdir(parents=True)
    shares = Shares()
    plans = {name: Plan(out / name, options.studies, 0, 0, Size.SMALL, shares, sample_subject) for name in ("here", "cluster")}
    rows = [made("one process", plans["here"], 1)]

    from ray.cluster_utils import Cluster as LocalCluster

    machines, retries = LocalCluster(), list[str]()
    for _ in range(2):
        machines.add_node(num_cpus=1, memory=2 * _MEMORY_BYTES, object_store_memory=100 << 20)
    found = made("two machines", plans["cluster"], partial(on_two_machines, machines.address, out / "died", retries.append))
    machines.shutdown()
    rows.append(Made(found.where, found.studies, found.seconds, tuple(retries)))
    different = differences(out / "here", out / "cluster")
    print("\n".join([*table(rows, different), *retries]))
    return int(bool(different) or len(retries) != 1)


if __name__ == "__main__":
    sys.exit(main())
