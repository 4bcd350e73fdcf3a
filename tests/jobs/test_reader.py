import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import StudyError
from cspine.jobs.job import Job, find_jobs
from cspine.jobs.reader import Bounds, ReadAhead, Reader
from tests.coded import coded_volume
from tests.jobs.readings import read


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader(read)
    yield reader
    reader.end()


def test_a_scan_arrives_as_it_was_read(reader: Reader) -> None:
    scan = reader.read("/somewhere/neck", "1.2")

    there = coded_volume()
    assert (scan.study.name, scan.mark, scan.seconds) == ("neck 1.2", "neck", 1.0)
    assert np.array_equal(scan.study.volume.hu, there.hu)
    assert scan.study.volume.hu.dtype == np.float32
    assert np.array_equal(scan.study.volume.grid.affine, there.grid.affine)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has memory that a descriptor stands for")
def test_a_volume_in_shared_memory_is_handed_over_without_a_copy(reader: Reader) -> None:
    scan = reader.read("/somewhere/shared", None)

    owner = scan.study.volume.hu
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    assert isinstance(getattr(owner, "obj", owner), mmap.mmap)
    assert np.array_equal(scan.study.volume.hu, coded_volume().hu)
    assert reader.read("/somewhere/neck", None).mark == "neck"
    assert np.array_equal(scan.study.volume.hu, coded_volume().hu), "it stays when the next one is read"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has memory that a descriptor stands for")
def test_shared_memory_counts_against_the_limit(reader: Reader) -> None:
    with pytest.raises(StudyError, match=r"^Reading may take 6 GiB of memory, or less where there is less; large needs more\."):
        reader.read("/somewhere/large", None)


def test_listing_goes_on_file_by_file_where_it_ended_the_process(reader: Reader, tmp_path: Path) -> None:
    for name in ("one", "crash", "two"):
        (tmp_path / f"{name}.nii").write_bytes(b"")
    together = reader.find([tmp_path])

    class Dying(Reader):
        def _call(self, bounds: Bounds, source: str, function: object, arguments: tuple[object, ...]) -> object:
            if function is find_jobs:
                function, arguments = read, ("/somewhere/crash", None)
            return super()._call(bounds, source, function, arguments)  # type: ignore[arg-type]

    dying = Dying(read)
    assert [(job.name, job.code) for job in dying.find([tmp_path])] == [(job.name, job.code) for job in together]
    dying.end()
    assert together
    assert dying.find([tmp_path]) == (), "where the reader is ended, nobody waits for a list"


def test_a_refusal_arrives_with_its_code(reader: Reader) -> None:
    with pytest.raises(StudyError, match=r"^Not this one\.$") as refused:
        reader.read("refuse", None)

    assert refused.value.code == "not_this_one"


def test_a_fault_arrives_with_the_place_where_it_happened(reader: Reader) -> None:
    with pytest.raises(ZeroDivisionError, match="by zero") as fault:
        reader.read("fault", None)

    assert "readings.py" in fault.value.__notes__[0]


def test_a_fault_that_cannot_be_sent_arrives_in_words(reader: Reader) -> None:
    with pytest.raises(RuntimeError, match="_OddError: odd"):
        reader.read("odd", None)


@pytest.mark.parametrize("last", ["neck", "refuse", "crash"])
def test_the_reading_process_ends_when_the_last_study_was_read(last: str) -> None:
    reader = Reader(read)
    with ReadAhead(reader, [Job("a", "neck"), Job("b", last)], None) as scans:
        first, second = (ask for _, ask in scans)
        assert first().mark == "neck"
        assert (second().mark == "neck") if last == "neck" else isinstance(_error_of(second), StudyError)
        for _ in range(200):
            if not reader._process.is_alive():
                break
            time.sleep(0.05)

        assert not reader._process.is_alive()


def _error_of(ask: Callable[[], object]) -> Exception | None:
    try:
        ask()
    except StudyError as error:
        return error
    return None


@pytest.mark.parametrize(("word", "how"), [("crash", "SIGSEGV"), ("leave", "exit code 3")])
def test_what_kills_the_reading_process_ends_one_job_and_not_the_next(reader: Reader, word: str, how: str) -> None:
    with pytest.raises(
        StudyError, match=rf"^{word} cannot be read: the process that read it died \({how}\)\. Copy it again from where it came\.$"
    ) as died:
        reader.read(f"/somewhere/{word}", None)

    assert died.value.code == "reader_died"
    assert reader.read("neck", None).mark == "neck"


def test_reading_that_never_ends_is_ended() -> None:
    reader = Reader(read, Bounds(1.0, 1 << 30))

    with pytest.raises(StudyError, match=r"^A study must be read within 1 s; sleep took longer\. Copy it again") as stuck:
        reader.read("/somewhere/sleep", None)

    assert stuck.value.code == "reader_stuck"
    reader.end()


def test_one_study_is_read_ahead_and_no_more() -> None:
    asked: list[str] = []

    class Listening(Reader):
        def read(self, source: str, series_uid: str | None) -> object:  # type: ignore[override]
            asked.append(source)
            return super().read(source, series_uid)

    with ReadAhead(Listening(read), [Job(name, name) for name in "abcd"], None) as scans:
        work = iter(scans)
        job, scan = next(work)
        assert scan().mark == job.name == "a"
        patience = time.monotonic() + 30
        while len(asked) < 2 and time.monotonic() < patience:
            time.sleep(0.01)
        time.sleep(0.3)

        assert asked == ["a", "b"]
        assert [job.name for job, _ in work] == ["b", "c", "d"]


def test_leaving_early_does_not_wait_for_a_scan() -> None:
    reader = Reader(read)
    before = threading.active_count()  # other tests of this process may have left some
    begin = time.monotonic()
    with ReadAhead(reader, [Job("a", "sleep")], None):
        time.sleep(0.1)

    assert time.monotonic() - begin < 20
    assert threading.active_count() <= before + 1


_PARENT = """
import time
from cspine.jobs.reader import Reader
from tests.jobs.readings import read

reader = Reader(read)
reader.read("neck", None)
print(type(reader._process).__name__, reader._process.pid, flush=True)
time.sleep(60)
"""

_SMALL_PARENT = """
import time
from cspine.jobs.reader import Reader

reader = Reader()
print(type(reader._process).__name__, reader._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (_PARENT, "SpawnProcess"),
        pytest.param(_SMALL_PARENT, "ForkProcess", marks=pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")),
    ],
)
def test_the_reading_process_does_not_outlive_a_killed_parent(code: str, how: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    kind, pid = parent.stdout.readline().split()
    child = int(pid)

    parent.kill()
    parent.wait()
    parent.stdout.close()

    patience = time.monotonic() + 30
    while _is_there(child) and time.monotonic() < patience:
        time.sleep(0.02)
    assert not _is_there(child)
    assert kind == how


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
