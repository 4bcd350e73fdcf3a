"""A cluster of two machines, both on this one, and a batch on it; run by test_cluster.py in a process of its own."""

import json
import sys
from pathlib import Path

from ray.cluster_utils import Cluster as LocalCluster

from cspine.cli import main
from cspine.errors import UsageError
from cspine.jobs import cluster as engine
from cspine.jobs.job import Job
from cspine.jobs.joining import Cluster
from cspine.jobs.task import Task
from tests.coded import asked
from tests.jobs.readings import read


def run(studies: Path, out: Path, model: str) -> dict[str, object]:
    """Does a batch as a user would, then one over which workers die, then asks for more than there is."""
    try:
        machines = LocalCluster()
        for _ in range(2):
            machines.add_node(num_cpus=1, memory=engine.MEMORY_BYTES, object_store_memory=100 << 20)
    except Exception as error:  # Ray raises nothing narrower when a process of its own does not come up in time
        return {"not_started": str(error)}
    ray = ["--engine", "ray", "--cluster", machines.address, "--workers", "2"]
    code = main(["detect", str(studies), "-o", str(out), *asked(Path(model)), "--format", "json", *ray])
    task = Task(out / "dying", model=model, localiser=asked(Path(model))[-1])
    task.out.mkdir()
    names = ("a", "leave", "b", "refuse")
    with engine.on_cluster(task, task.load(), [Job(n, n) for n in names], Cluster(machines.address), read) as done:
        dying = {job.name: (job.status, job.code, job.reason) for job in done}
    engine.MEMORY_BYTES <<= 20
    try:
        with engine.on_cluster(task, task.load(), [Job("a", "a")], Cluster(machines.address)):
            full = "there was room"
    except UsageError as error:
        full = str(error)
    machines.shutdown()
    return {"code": code, "dying": dying, "full": full}


if __name__ == "__main__":
    output = run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    Path(sys.argv[4]).write_text(json.dumps(output))
