"""A cluster of two machines, both on this one, what commands other than detect do on it, and the same commands without it.

Run by test_on_cluster.py.
"""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from ray.cluster_utils import Cluster as LocalCluster

from benchmarks import families
from cspine.cli import main
from cspine.cli.phantom import _on_cluster
from cspine.errors import CspineError
from cspine.jobs.joining import Cluster, Needs, joined
from cspine.jobs.spreading import Labour, spread
from cspine.phantoms.dataset.collection import make_collection
from tests.cli import on_workers
from tests.cli.conftest import SETTINGS, calibrate_made_up
from tests.phantoms.test_collection import plan

_NEEDS = Needs(1 << 30)


def run(place: Path) -> dict[str, Any]:
    """Does on the cluster what the test does on one machine, then what may go wrong."""
    os.environ["WORKER_DIES_ONCE"] = "1"
    try:
        machines = LocalCluster()
        for _ in range(2):
            machines.add_node(num_cpus=1, memory=4 << 30, object_store_memory=100 << 20)
    except Exception as error:  # Ray raises nothing narrower when a process of its own does not come up in time
        return {"not_started": str(error)}
    ray = ["--engine", "ray", "--cluster", machines.address, "--workers", "2"]
    noted: dict[str, Any] = {"phantoms": _phantoms(place, Cluster(machines.address))}
    noted["codes"] = [_done([*words, *ray], place / "cluster" / "run") for words in commands(place, "cluster")]
    noted["rows"] = _rows(place, Cluster(machines.address))
    del os.environ["WORKER_DIES_ONCE"]
    noted["codes_here"] = _codes_here(place)
    noted["pieces"] = _pieces(place, Cluster(machines.address))
    machines.shutdown()
    return noted


def _codes_here(place: Path) -> list[int]:
    """Runs the same commands on one machine, in this process, whose network has run nothing on other threads yet."""
    return [_done(words, place / "here" / "run") for words in commands(place, "here")]


def commands(place: Path, name: str) -> list[list[str]]:
    """Returns the commands of a training and its evaluation, into folders of that name."""
    run = str(place / name / "run")
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    finder, data = ["--set", f"localiser={place / 'packages' / 'coded_localiser'}"], ["--data", str(place / "data")]
    return [
        ["train", str(place / "recipe.py"), *data, "-o", run, "--fold", "all", *settings, *finder],
        ["evaluate", run, "--data", str(place / "unseen"), "-o", str(place / name / "evaluation"), "--resamples", "20"],
        ["cache", str(place / name / "filled"), "--fill", run, *data],
    ]


def _done(words: list[str], run: Path) -> int:
    code = main(words)
    if words[0] == "train":
        calibrate_made_up(run)
    return code


def _phantoms(place: Path, cluster: Cluster) -> list[bool]:
    made = list(make_collection(plan(place / "cluster" / "phantoms", 2), partial(_on_cluster, cluster)))
    return made + list(make_collection(plan(place / "cluster" / "phantoms", 2), partial(_on_cluster, cluster)))


def _rows(place: Path, cluster: Cluster) -> list[list[str]]:
    """Does rows of the table of families on the cluster, where a worker dies, and here; returns both tables."""
    with mock.patch("benchmarks.families.do_row", on_workers.do_made_up_row):
        where, rows = on_workers.rows_of(place, "cluster")
        families.spread_rows(where, rows, argparse.Namespace(cluster=cluster.address, workers=2))
        tables = [list(families.page(where, rows))]
    where, rows = on_workers.rows_of(place, "here")
    with mock.patch.dict(os.environ, WORKER_DIES_ONCE=""):
        for row in rows:
            on_workers.do_made_up_row(where, row, "tensorflow")
    return [*tables, list(families.page(where, rows))]


def _pieces(place: Path, cluster: Cluster) -> dict[str, Any]:
    """Spreads pieces over which workers die, or that fail."""
    noted: dict[str, Any] = {"warnings": []}
    with joined(cluster):
        once = Labour("piece", on_workers.die_once, _NEEDS)
        marked = [(str(place / f"died-{number}"), number == 1, number) for number in range(3)]
        noted["once"] = sorted(spread(once, marked, noted["warnings"].append))
        ordered = Labour("piece", on_workers.one_of_three, _NEEDS)
        files = (str(place / "first"), str(place / "third"))
        noted["ordered"] = sorted(spread(ordered, [(number, *files) for number in range(3)], after={1: 0}))
        for name, function in (("always", on_workers.die), ("refused", on_workers.refuse), ("fault", on_workers.divide)):
            try:
                noted[name] = list(spread(Labour("piece", function, _NEEDS), [(0,)]))
            except (CspineError, ZeroDivisionError) as error:
                noted[name] = f"{type(error).__name__}: {error}"
        try:
            noted["full"] = list(spread(Labour("piece", on_workers.divide, Needs(1 << 50, gpus=1)), [(1,)]))
        except CspineError as error:
            noted["full"] = str(error)
    return noted


if __name__ == "__main__":
    output = run(Path(sys.argv[1]))
    (Path(sys.argv[1]) / "noted.json").write_text(json.dumps(output))
