"""The worker of a node: results into folders and the store, each once, whatever happens between."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from cspine.errors import OutputError, StudyError
from cspine.jobs.reader import died
from cspine.jobs.scans import Scan, read_scan
from cspine.node.config import Config, Kind, Outcome
from cspine.node.config_file import read_config
from cspine.node.receiving.intake import Intake
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.store import State, Store, open_store
from cspine.node.store.arrivals import withdraw
from cspine.node.store.queue import claim
from cspine.node.store.sending import claim_parcels
from cspine.node.store.tables import jobs
from cspine.node.store.worklist import worklist
from cspine.node.working.worker import NodeWorker
from tests.node.nodes import Series, destination, write_config, write_series
from tests.node.times import Clock


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    return write_series(tmp_path_factory.mktemp("series") / "1", 1, fractured=True)


class Desk:
    """A node without its processes: images come in, one worker does what is queued."""

    def __init__(self, folder: Path, package: Path, tables: str = "") -> None:
        self.clock = Clock()
        self.config: Config = read_config(write_config(folder, package, tables))
        self.folders = Folders(self.config.node.data)
        self.folders.make()
        self.store: Store = open_store("sqlite", self.config.node.data, self.clock)
        self.spool, self.intake = Spool(self.folders), Intake(self.config, self.store)
        self.worker = NodeWorker(self.config, self.store)

    def come_in(self, series: Series, count: int | None = None, hold_s: float = 0.0) -> int | None:
        """Puts images into the spool and queues their series."""
        for file in series.files[:count]:
            self.spool.put_copy(file, series.uid, f"{series.uid}.{file.stem.split('_')[1]}")
        return self.intake.queue(series.uid, "CT1", "ER", hold_s)

    def step(self) -> bool:
        """Does one job."""
        return self.worker.step(lambda source: read_scan(source, None))


@pytest.fixture
def desk(coded_package: Path, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, coded_package, destination(1))
    yield made
    made.store.close()


def _results(desk: Desk) -> list[str]:
    return sorted(path.name for path in desk.folders.results.iterdir())


def test_a_result_lies_in_its_folder_and_in_the_store(desk: Desk, series: Series) -> None:
    desk.come_in(series)

    assert desk.step()
    assert not desk.step()
    (row,) = worklist(desk.store)
    assert (row.state, row.site, row.images) == (State.DONE, "ER", len(series.files))
    assert row.result is not None
    assert (row.result.positive, row.result.package, len(row.result.levels)) == (True, "coded", 7)
    folder = desk.folders.results / row.key
    assert {"result.json", "result.html", "result_sr.dcm", "result_seg.dcm", "result_sc.dcm"} <= {
        path.name for path in folder.iterdir()
    }
    assert [one.parcel.kind for one in claim_parcels(desk.store, "shelf", "d", 60, 9)] == ["sr", "seg", "sc"]


def test_a_result_that_is_there_already_is_recorded_and_not_made_again(desk: Desk, series: Series) -> None:
    desk.come_in(series)
    claimed = claim(desk.store, "killed", 3, 5)
    assert claimed is not None
    desk.worker._done(claimed, lambda source: read_scan(source, None))  # the worker is killed after it wrote the folder
    desk.clock.now += 4

    def refuse(_: str) -> Scan:
        raise AssertionError("it was read again")

    assert desk.worker.step(refuse)
    assert worklist(desk.store)[0].state is State.DONE


def test_a_second_evaluation_has_the_same_uids(desk: Desk, series: Series) -> None:
    desk.come_in(series)
    claimed = claim(desk.store, "killed", 3, 5)
    assert claimed is not None
    desk.worker._record(claimed, desk.worker._done(claimed, lambda source: read_scan(source, None)))
    first = {one.parcel.sop_uid for one in claim_parcels(desk.store, "shelf", "d", 60, 9)}
    shutil.rmtree(desk.folders.results / claimed.key)
    from cspine.node.working.outcome import finished, parcels

    job = desk.worker._done(claimed, lambda source: read_scan(source, None))
    folder = desk.folders.results / claimed.key
    again = {one.sop_uid for one in parcels(finished(job, folder), folder, desk.config.destinations)}

    assert len(first) == 3
    assert again == first


def test_a_version_that_was_superseded_while_it_was_done_leaves_nothing(desk: Desk, series: Series) -> None:
    desk.come_in(series, 20)

    def read(source: str) -> Scan:
        desk.come_in(series)
        return read_scan(source, None)

    desk.worker.step(read)

    assert _results(desk) == []
    assert desk.step()
    (row,) = worklist(desk.store)
    assert (row.version, row.images, _results(desk)) == (2, len(series.files), [row.key])


def test_what_a_killed_worker_left_of_a_superseded_version_is_removed(desk: Desk, series: Series) -> None:
    desk.come_in(series, 20)
    claimed = claim(desk.store, "killed", 3, 5)
    assert claimed is not None
    desk.worker._done(claimed, lambda source: read_scan(source, None))
    desk.come_in(series)
    assert _results(desk) == [claimed.key]

    desk.worker._tidy()

    assert _results(desk) == []


def test_a_result_of_an_earlier_version_stays_and_is_superseded(desk: Desk, series: Series) -> None:
    desk.come_in(series, 20)
    desk.step()
    desk.come_in(series)
    desk.step()

    with desk.store.reading() as connection:
        states = connection.execute(select(jobs.c.version, jobs.c.state).order_by(jobs.c.version)).all()
    assert [tuple(state) for state in states] == [(1, "superseded"), (2, "done")]
    assert len(_results(desk)) == 2
    assert len(claim_parcels(desk.store, "shelf", "d", 60, 9)) == 3


def test_a_worker_that_lost_its_lease_does_not_remove_what_another_finished(desk: Desk, series: Series) -> None:
    desk.come_in(series, 20)

    def read(source: str) -> Scan:
        scan = read_scan(source, None)
        desk.clock.now += 10_000
        assert desk.step()  # the other worker does the same version
        desk.come_in(series)
        assert desk.step()  # and the next
        return scan

    desk.worker.step(read)

    assert len(_results(desk)) == 2


def test_a_scan_that_cannot_be_read_fails_with_the_reason(desk: Desk, series: Series) -> None:
    desk.come_in(series)

    def refuse(_: str) -> Scan:
        raise StudyError("A CT is needed.\nThis is none.")

    desk.worker.step(refuse)

    (row,) = worklist(desk.store)
    assert (row.state, row.code, row.reason) == (State.FAILED, "study", r"A CT is needed.\nThis is none.")
    assert _results(desk) == []


def test_a_reader_that_died_is_tried_again_and_fails_at_last(desk: Desk, series: Series) -> None:
    desk.come_in(series)

    def die(source: str) -> Scan:
        raise died(source, "SIGKILL")

    for _ in range(4):
        assert desk.worker.step(die)
        assert worklist(desk.store)[0].state is State.QUEUED
    desk.worker.step(die)

    (row,) = worklist(desk.store)
    assert (row.state, row.code, row.attempts) == (State.FAILED, "worker_died", 5)


def test_a_full_disk_is_named_and_the_job_is_tried_again(desk: Desk, series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.come_in(series)

    def refuse(*_: object, **__: object) -> None:
        raise OutputError("/results cannot be written: No space left on device. Choose another folder with -o.")

    with monkeypatch.context() as patch:
        patch.setattr("cspine.jobs.worker.put_job", refuse)
        desk.step()
    (row,) = worklist(desk.store)
    assert (row.state, row.attempts) == (State.QUEUED, 0)
    assert "No space left on device" in str(row.reason)
    assert not desk.step()
    desk.clock.now += 61

    assert desk.step()
    assert worklist(desk.store)[0].state is State.DONE


def test_images_that_retention_removed_are_asked_for(desk: Desk, series: Series) -> None:
    desk.come_in(series)
    shutil.rmtree(next(desk.folders.scans.iterdir()))

    desk.step()

    assert worklist(desk.store)[0].reason == "The images of a series are needed. They were removed. Send the series again."


@pytest.mark.parametrize(
    ("objects", "send", "kinds"),
    [
        ((Kind.SR,), tuple(Outcome), ["sr"]),
        ((Kind.SC, Kind.SEG), (Outcome.POSITIVE,), ["seg", "sc"]),
        (tuple(Kind), (Outcome.NEGATIVE, Outcome.REJECTED), []),
    ],
)
def test_an_archive_gets_what_it_asks_for(
    desk: Desk, series: Series, objects: tuple[Kind, ...], send: tuple[Outcome, ...], kinds: list[str]
) -> None:
    (archive,) = desk.config.destinations
    desk.worker._config = replace(desk.config, destinations=(replace(archive, objects=objects, send=send),))
    desk.come_in(series)
    desk.step()

    assert [one.parcel.kind for one in claim_parcels(desk.store, "shelf", "d", 60, 9)] == kinds


def test_a_rule_ignores_a_series_and_says_which(coded_package: Path, series: Series, tmp_path: Path) -> None:
    rule = "[[rule]]\nif = \"images < 100 and PatientID = 'PAT1' and site = 'ER'\"\ndo = \"ignore\"\n"
    desk = Desk(tmp_path, coded_package, rule)
    desk.come_in(series)

    assert not desk.step()
    (row,) = worklist(desk.store)
    desk.store.close()
    assert row.state is State.IGNORED
    assert row.reason == "A rule ignores it: images < 100 and PatientID = 'PAT1' and site = 'ER'"


class _Waited(threading.Event):
    """Lets time go by, or something happen, instead of waiting."""

    def __init__(self, happens: Callable[[], bool]) -> None:
        super().__init__()
        self._happens, self.times = happens, 0

    def wait(self, timeout: float | None = None) -> bool:
        self.times += 1
        return self._happens()


def test_a_result_that_was_begun_early_is_recorded_when_it_is_due(desk: Desk, series: Series) -> None:
    desk.come_in(series, hold_s=4)
    states = []

    def passes() -> bool:
        states.append(worklist(desk.store)[0].state)
        desk.clock.now += 1
        return False

    stop = _Waited(passes)

    assert desk.worker.step(lambda source: read_scan(source, None), stop)
    assert states == [State.RUNNING] * 4
    assert worklist(desk.store)[0].state is State.DONE


def test_a_worker_that_shall_stop_gives_back_what_is_not_due(desk: Desk, series: Series) -> None:
    desk.come_in(series, hold_s=4)

    assert desk.worker.step(lambda source: read_scan(source, None), _Waited(lambda: True))
    assert worklist(desk.store)[0].state is State.QUEUED
    assert len(_results(desk)) == 1
    desk.clock.now += 5

    def read(source: str) -> Scan:
        raise AssertionError("it was read before")

    assert desk.worker.step(read)
    assert worklist(desk.store)[0].state is State.DONE


def test_images_that_come_end_the_wait_and_the_early_result_is_gone(desk: Desk, series: Series) -> None:
    desk.come_in(series, len(series.files) - 1, hold_s=4)

    def come() -> bool:
        withdraw(desk.store, series.uid)
        return False

    stop = _Waited(come)

    assert desk.worker.step(lambda source: read_scan(source, None), stop)
    assert stop.times == 1
    assert _results(desk) == []
    desk.come_in(series)
    assert desk.step()
    (row,) = worklist(desk.store)
    assert (row.state, row.images) == (State.DONE, len(series.files))


def test_a_result_that_is_wanted_again_is_not_removed(desk: Desk, series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the question which versions were superseded and the removal, one may be queued again and be done."""
    desk.come_in(series)
    assert desk.step()
    (key,) = _results(desk)
    monkeypatch.setattr("cspine.node.working.worker.superseded_keys", lambda _: (key,))
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda _: stop.set())

    desk.worker.work(stop)

    assert _results(desk) == [key]


def test_a_clock_that_was_set_back_holds_no_result(desk: Desk, series: Series) -> None:
    desk.come_in(series, hold_s=4)

    def back() -> bool:
        desk.clock.now -= 3600
        return False

    stop = _Waited(back)

    assert desk.worker.step(lambda source: read_scan(source, None), stop)
    assert stop.times == 1


def test_a_series_that_a_rule_ignores_is_not_begun_early(coded_package: Path, tmp_path: Path, series: Series) -> None:
    made = Desk(tmp_path, coded_package, '[[rule]]\nif = "images < 400"\ndo = "ignore"\n')

    assert made.come_in(series, hold_s=4) is None
    assert worklist(made.store) == ()
    assert made.come_in(series) is not None
    assert worklist(made.store)[0].state is State.IGNORED
    made.store.close()
