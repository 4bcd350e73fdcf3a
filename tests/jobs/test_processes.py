"""The same batch in several processes of one machine."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cspine.anatomy import Level
from cspine.cli import Exit, main
from cspine.errors import PackageError, UsageError
from cspine.jobs import processes
from cspine.jobs.job import Job
from cspine.jobs.processes import in_processes
from cspine.jobs.task import Task
from tests.cli.detecting import without_times
from tests.coded import asked, coded_volume, write_nifti
from tests.jobs.readings import read

pytestmark = pytest.mark.slow
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("studies")
    for number in range(6):
        write_nifti(coded_volume(fractured=[Level(number + 1)]), place / f"neck{number}.nii")
    (place / "bad.nii").write_text("not a scan")
    return place


@pytest.fixture
def task(coded_package: Path, tmp_path: Path) -> Task:
    return Task(tmp_path, model=str(coded_package), localiser=asked(coded_package)[-1])


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cspine.cli.detect.processors", lambda: 2)


@pytest.mark.usefixtures("two_processors")
def test_processes_give_the_same_outputs_as_one(
    studies: Path, coded_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    words = [*asked(coded_package), "--format", "json,png"]
    main(["detect", str(studies), "-o", str(one), *words])

    assert main(["detect", str(studies), "-o", str(two), *words, "--jobs", "2"]) == Exit.SOME_FAILED

    assert without_times(two) == without_times(one)
    assert len(without_times(two)) == 6
    assert (two / "failures.csv").read_text() == (one / "failures.csv").read_text()
    assert [case["name"] for case in json.loads((two / "run.json").read_text())["cases"]] == [
        case["name"] for case in json.loads((one / "run.json").read_text())["cases"]
    ]
    assert "6 done, 1 failed" in capsys.readouterr().out


def test_a_process_that_dies_takes_one_job_with_it_after_a_second_try(task: Task) -> None:
    names = ("a", "orphan", "b", "refuse", "c")

    with in_processes(task, [Job(name, name) for name in names], 2, read) as done:
        found = {job.name: (job.status, job.code, job.reason) for job in done}

    assert sorted(found) == sorted(names)
    assert found["a"][0] == found["b"][0] == found["c"][0] == "ok"
    assert found["refuse"][:2] == ("failed", "not_this_one")
    assert found["orphan"][:2] == ("failed", "reader_died")
    assert "the process that read it died (SIGKILL, twice)" in str(found["orphan"][2])


def test_a_package_that_cannot_be_loaded_is_said_as_in_one_process(task: Task, tmp_path: Path) -> None:
    missing = Task(tmp_path, model=str(tmp_path / "nothing"))

    with pytest.raises(PackageError, match="nothing"), in_processes(missing, [Job("a", "a")], 1, read) as done:
        list(done)


def test_a_process_that_dies_before_it_works_ends_the_batch(task: Task) -> None:
    pool = processes._Pool(task, [Job("a", "sleep")], processes._shares(1), read)
    pool._fill()
    (one,) = pool._busy.values()
    one.process.kill()

    with pytest.raises(
        UsageError, match=r"^A process ended while it loaded the model \(SIGKILL\)\. Free memory, or give fewer --jobs\.$"
    ):
        list(pool.work())


def test_few_jobs_are_shared_among_all_processes(task: Task) -> None:
    pool = processes._Pool(task, [Job(name, name) for name in "abc"], processes._shares(2), read)
    try:
        pool._fill()

        assert [[job.name for job in one.given] for one in pool._busy.values()] == [["a", "c"], ["b"]]
    finally:
        pool.end()


def test_leaving_early_ends_the_processes(task: Task) -> None:
    begin = time.monotonic()
    with in_processes(task, [Job("a", "a"), Job("b", "sleep")], 2, read) as done:
        assert next(done).name == "a"

    assert time.monotonic() - begin < 50
    assert not multiprocessing.active_children()


_PARENT = """
import sys
from pathlib import Path
from cspine.jobs.job import Job
from cspine.jobs.processes import in_processes
from cspine.jobs.task import Task
from tests.jobs.readings import read
import multiprocessing

if __name__ == "__main__":
    task = Task(Path(sys.argv[1]), model=sys.argv[2], localiser=sys.argv[3])
    with in_processes(task, [Job("a", "a"), Job("b", "sleep")], 2, read) as done:
        next(done)
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        next(done)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_no_process_outlives_a_killed_parent(task: Task, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    environment = {**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"}
    words = [sys.executable, str(script), str(tmp_path), str(task.model), str(task.localiser)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
    patience = time.monotonic() + 30  # one of them would read for a minute

    assert children
    while any(_is_alive(pid) for pid in children) and time.monotonic() < patience:
        time.sleep(0.2)
    assert not any(_is_alive(pid) for pid in children)


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_are_disjoint_and_bound_to_what_there_is(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 5, 6, 7, 8, 9}, raising=False)
    monkeypatch.setattr(processes, "processors", lambda: 6)

    shares = processes._shares(count)

    assert [share.threads for share in shares] == [6 // count] * count
    assert sorted(place for share in shares for place in share.processors) == [4, 5, 6, 7, 8, 9]


def test_under_a_quota_processes_are_not_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(processes, "processors", lambda: 4)

    assert [(share.threads, share.processors) for share in processes._shares(2)] == [(2, frozenset())] * 2


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--jobs", "3"], "--jobs needs a number from 1 to 2, one for each processor. Received: 3."),
        (["--jobs", "0"], "--jobs needs a number from 1 to 2, one for each processor. Received: 0."),
        (["--jobs", "2", "--engine", "ray"], "--jobs is for this machine. With --engine ray, give --workers."),
        (["--jobs", "2", "--device", "gpu"], "--jobs is for processors. With --device gpu, leave it out."),
    ],
)
def test_a_number_of_jobs_that_makes_no_sense_is_one_line(
    words: list[str], line: str, studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(studies), "-o", str(tmp_path / "out"), *words]) == Exit.WRONG_INPUT

    assert line in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
