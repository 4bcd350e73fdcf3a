"""Processes of a node are killed at random moments; the long form is ``python -m benchmarks.node.survival``."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from sqlalchemy import insert, select, update

from benchmarks.node.leftovers import Inspection, inspect_all, tells_of_patients
from benchmarks.node.processes import below, living_with
from benchmarks.node.survival import ROLES, Plan, Survived, survive
from cspine.node.config import Config
from cspine.node.store import open_store
from cspine.node.store.sending import claim_parcels, delivered
from cspine.node.store.tables import jobs, outbox
from cspine.node.store.worklist import worklist
from tests.node.nodes import CANARY, Series, Shelf, destination, until, write_series
from tests.node.working.test_worker import Desk


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves sockets open
def test_nothing_is_lost_or_doubled_when_processes_are_killed(database: str, coded_package: Path, tmp_path: Path) -> None:
    survived = survive(Plan(studies=3, kills=5, seed=7, pause_s=2.0, database=database), tmp_path / "run", coded_package)

    assert survived.faults == []
    assert survived.killed == sum(survived.kills.values()) == 5
    assert survived.versions >= 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
def test_a_run_that_is_interrupted_checks_what_is_there(coded_package: Path, tmp_path: Path) -> None:
    enough = threading.Event()
    enough.set()

    survived = survive(Plan(studies=2, kills=500), tmp_path / "run", coded_package, enough)

    assert survived.faults == []
    assert survived.kills == {}
    assert survived.versions >= 2


@dataclass(frozen=True)
class Whole:
    """Holds what a node left that did one study as it should, and what an archive has of it.

    Attributes:
        config: The configuration of that node.
        series: The study.
        kept: Objects of the archive.
        key: Name of the version.
    """

    config: Config
    series: Series
    kept: list[Dataset]
    key: str


@pytest.fixture(scope="module")
def whole(coded_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    desk, series, kept = Desk(folder, coded_package, destination(1)), write_series(folder / "series", 1, fractured=True), []
    desk.spool.note_source(series.uid, "CT1", "ER")
    desk.come_in(series)
    assert desk.step()
    (row,) = worklist(desk.store)
    for sending in claim_parcels(desk.store, "shelf", "d", 60, 9):
        kept.append(dcmread(desk.folders.results / row.key / sending.parcel.file))
        delivered(desk.store, sending, "d")
    desk.store.close()
    return Whole(desk.config, series, kept, row.key)


class Left:
    """A copy of what a node left, to be damaged."""

    def __init__(self, folder: Path, whole: Whole) -> None:
        self.data, self.series = folder / "data", whole.series
        shutil.copytree(whole.config.node.data, self.data)
        self.config = replace(whole.config, node=replace(whole.config.node, data=self.data))
        self.store, self.archive = open_store("sqlite", self.data), Shelf(1, list(whole.kept))
        self.result = self.data / "results" / whole.key

    def inspected(self) -> Inspection:
        """Returns what is found."""
        return inspect_all(self.store, self.config, [self.series], self.archive)

    def faults(self) -> str:
        """Returns what is told of it, in one text."""
        return "; ".join(self.inspected().faults)

    def write(self, **values: object) -> None:
        """Alters the rows of all jobs."""
        with self.store.writing() as connection:
            connection.execute(update(jobs).values(**values))

    def forget_an_object(self) -> None:
        """Has one object be on its way for ever."""
        with self.store.writing() as connection:
            connection.execute(update(outbox).where(outbox.c.kind == "sr").values(state="waiting"))

    def get_a_stranger(self) -> None:
        """Has the archive hold an object of nobody."""
        stranger = Dataset()
        stranger.SOPInstanceUID = "2.25.1"
        self.archive.kept.append(stranger)

    def send_otherwise(self, keyword: str, value: object) -> None:
        """Has the archive hold an object that differs in one thing."""
        other = dcmread(self.result / "result_sr.dcm")
        setattr(other, keyword, value)
        self.archive.kept.append(other)

    def alter_an_image(self) -> None:
        """Has the spool hold an image that differs in one thing."""
        file = next((self.data / "spool" / self.series.uid).glob("*.dcm"))
        image = dcmread(file)
        image.PatientID = "OTHER"
        image.save_as(file)

    def come_late(self) -> None:
        """Has a later version of the series have failed."""
        with self.store.writing() as connection:
            row = connection.execute(select(jobs)).one()._asdict()
            connection.execute(
                insert(jobs).values(**row | {"id": 99, "version": 2, "key": "late", "digest": "late", "state": "failed"})
            )

    def swap_results(self) -> None:
        """Has the result be one of another series."""
        file = self.result / "result.json"
        file.write_text(file.read_text().replace(f'"{self.series.uid}"', '"1.2.3.9.1"'))

    def put_twice(self) -> None:
        """Has the outbox hold two reports of the same result."""
        with self.store.writing() as connection:
            row = connection.execute(select(outbox).where(outbox.c.kind == "sr")).one()._asdict()
            connection.execute(insert(outbox).values(**row | {"id": 99, "sop_uid": "2.25.2"}))


@pytest.fixture
def left(whole: Whole, tmp_path: Path) -> Iterator[Left]:
    made = Left(tmp_path, whole)
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda left: left.write(state="failed"), "not one current result for each series"),
        (lambda left: left.write(images=1), "is of 1 images instead of"),
        (lambda left: left.forget_an_object(), "the outbox of 1.2.3.1.1 holds"),
        (lambda left: left.archive.kept.pop(), "the archive lacks objects of 1.2.3.1.1"),
        (lambda left: left.get_a_stranger(), "the archive has 1 objects that nobody sent"),
        (lambda left: (left.data / "scans" / "nobody").mkdir(), "scans has ['nobody'] too much"),
        (lambda left: left.result.rename(left.data / "away"), "results has [] too much and lacks"),
        (lambda left: (left.data / "spool" / ".incoming" / "half").touch(), "half-written files are left"),
        (lambda left: next((left.data / "spool" / left.series.uid).glob("*.dcm")).unlink(), "the spool differs for"),
        (lambda left: (left.result / "result_seg.dcm").write_bytes(b"DICM"), "cannot be read"),
        (lambda left: (left.result / "result.json").write_text("{"), "cannot be read"),
        (lambda left: (left.result / "result_fhir.json").write_text('{"resourceType": '), "cannot be read"),
        (lambda left: (left.result / "result.html").write_text("<html><body>"), "is not the one that was sent"),
        (lambda left: left.write(positive=False), "says positive: False instead of True"),
        (lambda left: left.come_late(), "is of version 1, and 2 came"),
        (lambda left: left.send_otherwise("SeriesDescription", "Other"), "otherwise than the node"),
        (lambda left: left.alter_an_image(), "is not the one that was sent"),
        (lambda left: left.put_twice(), "objects of one kind under several UIDs"),
        (lambda left: left.swap_results(), "is one of another series"),
    ],
)
def test_each_thing_that_may_be_wrong_at_the_end_is_told(left: Left, damage: Callable[[Left], object], told: str) -> None:
    before = left.faults()

    damage(left)

    assert before == ""
    assert told in left.faults()


def test_what_an_archive_is_sent_again_is_counted_and_no_fault(left: Left) -> None:
    left.archive.kept.append(left.archive.kept[0])

    assert left.faults() == ""
    assert left.inspected().sent_again == 1


def test_a_predecessor_that_a_report_gets_on_its_way_is_no_fault(left: Left) -> None:
    left.send_otherwise("PredecessorDocumentsSequence", [Dataset()])

    assert left.faults() == ""


@pytest.mark.parametrize(
    ("survived", "told"),
    [
        (Survived(killed=99), []),
        (Survived(100, dict.fromkeys(ROLES, 10), dict.fromkeys(ROLES, 2), meanwhile=3), []),
        (Survived(100, dict.fromkeys(ROLES, 10), dict.fromkeys(ROLES, 2)), ["no study had a result before the last kill"]),
        (Survived(100, {"web": 100}, {"web": 2}, meanwhile=3), ["were never killed:", "were never killed at work:"]),
    ],
)
def test_a_long_run_that_shows_little_says_so(survived: Survived, told: list[str]) -> None:
    found = survived.idle()

    assert len(found) == len(told)
    assert all(part in sentence for part, sentence in zip(told, found, strict=True))


def test_processes_and_names_that_are_left_are_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"a study of {CANARY.split('^')[0]} came\n")
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        living = list(living_with(str(tmp_path)))
        children = dict(below(os.getpid()))
        process.kill()
        until(
            lambda: process.pid not in dict(below(os.getpid())), "a dead process that nobody asked after is told from a living one"
        )
        dead = list(living_with(str(tmp_path)))

    assert living == [process.pid]
    assert children[process.pid] == "reader"
    assert dead == []
    assert tells_of_patients(log)
