"""The same batch on a cluster of two machines; both are this one."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cspine.anatomy import Level
from cspine.cli import Exit, main
from cspine.errors import UsageError
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.scans import read_scan
from cspine.jobs.task import Task
from tests.cli.detecting import without_times
from tests.coded import asked, coded_volume, write_nifti

pytest.importorskip("ray", reason="needs the extra ray: pip install 'cspine[ray]'")

pytestmark = pytest.mark.slow
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Clustered:
    """Holds what came of a batch on a cluster.

    Attributes:
        studies: The batch.
        out: Its results.
        reported: What the process noted.
        printed: What it printed.
    """

    studies: Path
    out: Path
    reported: dict[str, Any]
    printed: str


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory, coded_package: Path) -> Clustered:
    place = tmp_path_factory.mktemp("cluster")
    (place / "studies").mkdir()
    for number in range(4):
        write_nifti(coded_volume(fractured=[Level(number + 1)]), place / "studies" / f"neck{number}.nii")
    (place / "studies" / "bad.nii").write_text("not a scan")
    arguments = [place / "studies", place / "out", coded_package, place / "reported.json"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.clustered", *map(str, arguments)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}", "RAY_worker_niceness": "0"},  # ours decides
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (place / "reported.json").is_file(), done.stderr
    reported = json.loads((place / "reported.json").read_text())
    if "not_started" in reported:
        pytest.skip(f"Ray could not start a cluster on this machine, which may be too busy: {reported['not_started']}")
    return Clustered(place / "studies", place / "out", reported, done.stdout)


def test_a_cluster_gives_the_same_outputs_as_one_machine(clustered: Clustered, coded_package: Path, tmp_path: Path) -> None:
    main(["detect", str(clustered.studies), "-o", str(tmp_path), *asked(coded_package), "--format", "json"])

    assert clustered.reported["code"] == Exit.SOME_FAILED
    assert without_times(clustered.out) == without_times(tmp_path)
    assert len(without_times(tmp_path)) == 4
    assert (clustered.out / "failures.csv").read_text() == (tmp_path / "failures.csv").read_text()
    assert [job["name"] for job in json.loads((clustered.out / "run.json").read_text())["cases"]] == [
        job["name"] for job in json.loads((tmp_path / "run.json").read_text())["cases"]
    ]
    assert "4 done, 1 failed" in clustered.printed


def test_a_worker_that_dies_takes_one_job_with_it_after_a_second_try(clustered: Clustered) -> None:
    dying = clustered.reported["dying"]

    assert dying["a"][0] == dying["b"][0] == "ok"
    assert dying["refuse"][:2] == ["failed", "not_this_one"]
    assert dying["leave"][:2] == ["failed", "reader_died"]
    assert "the process that read it died (on 2 workers)" in dying["leave"][2]


def test_a_cluster_without_room_is_one_line(clustered: Clustered) -> None:
    wanted = r"^One processor and \d+ GiB of memory are needed on a machine of the cluster\. Received: .* GiB\. Add machines"
    assert re.match(wanted, clustered.reported["full"])


def test_a_cluster_that_is_not_there_is_one_line(
    clustered: Clustered, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def refuse(**_: object) -> None:
        raise ConnectionError("nobody answers\nthere")

    monkeypatch.setattr(ray, "init", refuse)

    arguments = ["-o", str(tmp_path / "out"), *asked(coded_package), "--engine", "ray", "--cluster", "10.0.0.1:1"]
    assert main(["detect", str(clustered.studies), *arguments]) == Exit.WRONG_INPUT

    assert "A Ray cluster is needed; 10.0.0.1:1 cannot be joined: nobody answers there" in capsys.readouterr().err


@pytest.fixture
def task(coded_package: Path, tmp_path: Path) -> Task:
    return Task(tmp_path, model=str(coded_package))


def test_a_machine_with_another_package_is_refused(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    from cspine.jobs import cluster

    provenance = replace(task.provenance(task.load()), model_sha256="another package")
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "10.0.0.7")

    with pytest.raises(
        UsageError, match=r"need cspine .* and the package another pack\. Received: .* on 10\.0\.0\.7\. Install the same there\.$"
    ):
        cluster._Actor(task, provenance, read_scan).load()


def test_a_result_that_is_only_on_another_machine_is_a_failure(tmp_path: Path) -> None:
    from cspine.jobs import cluster

    crew = cluster._WorkerPool(tmp_path, [], lambda: None)
    seen = crew._seen(Job("neck", "/neck", JobStatus.OK))

    assert (seen.status, seen.code) == (JobStatus.FAILED, "output")
    assert "A worker wrote neck, which is not in" in str(seen.reason)
    assert str(seen.reason).endswith("Give an -o that all machines share.")


def test_a_worker_that_dies_before_it_works_ends_the_batch(tmp_path: Path) -> None:
    from ray.exceptions import RayActorError

    from cspine.jobs import cluster

    crew = cluster._WorkerPool(tmp_path, [], lambda: None)

    with pytest.raises(UsageError, match=r"ended while it loaded the model\. Read its log, or give fewer --workers\.$"):
        crew._replaced(cluster._Assignment(actor=None), RayActorError())


def test_a_job_over_which_workers_died_leaves_no_result_of_an_earlier_run(tmp_path: Path) -> None:
    from ray.exceptions import RayActorError

    from cspine.jobs import cluster

    (tmp_path / "neck").mkdir()
    (tmp_path / "neck" / "result.json").write_text("{}")
    crew = cluster._WorkerPool(tmp_path, [], lambda: None)

    failed = crew._replaced(cluster._Assignment(None, Job("neck", "/neck"), tries=2), RayActorError())

    assert failed is not None
    assert failed.code == "reader_died"
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_workers_is_positive() -> None:
    from cspine.jobs.joining import Cluster

    with pytest.raises(UsageError, match=r"^--workers needs a positive number\. Received: 0$"):
        Cluster(workers=0)
