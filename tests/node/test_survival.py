"""Processes of a node are killed at random moments; the long form is ``python -m benchmarks.node.survival``."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from sqlalchemy import update

from benchmarks.node.survival import Plan, Survived, faults, survive
from cspine.node.config import Config
from cspine.node.store import open_store
from cspine.node.store.sending import claim_parcels, delivered
from cspine.node.store.tables import jobs, outbox
from cspine.node.store.worklist import worklist
from tests.node.nodes import Series, Shelf, destination, write_series
from tests.node.working.test_worker import Desk


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves sockets open
def test_nothing_is_lost_or_doubled_when_processes_are_killed(database: str, coded_package: Path, tmp_path: Path) -> None:
    survived = survive(Plan(studies=5, kills=8, seed=7, pause_s=2.0, database=database), tmp_path / "run", coded_package)

    assert survived.faults == []
    assert sum(survived.kills.values()) == 8
    assert survived.versions >= 5


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
        self.data, self.series, self.survived = folder / "data", whole.series, Survived()
        shutil.copytree(whole.config.node.data, self.data)
        self.config = replace(whole.config, node=replace(whole.config.node, data=self.data))
        self.store, self.archive = open_store("sqlite", self.data), Shelf(1, list(whole.kept))
        self.result = self.data / "results" / whole.key

    def faults(self) -> str:
        """Returns what is told of it, in one text."""
        return "; ".join(faults(self.store, self.config, [self.series], self.archive, self.survived))

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
    assert left.survived.sent_again == 1
