import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cspine.node.config import KeepSettings
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.retention import Removed, remove_old
from cspine.node.store import State, Store, open_store
from cspine.node.store.arrivals import enqueue
from cspine.node.store.nouns import Arrival, Patient
from cspine.node.store.queue import finish, requeue
from cspine.node.store.sending import has_open_parcels
from cspine.node.store.tables import patients
from cspine.node.store.worklist import worklist
from tests.node.series import FAILED, POSITIVE, parcels, take
from tests.node.times import Clock

_DAY_S = 86400.0
_KEEP = KeepSettings(scans_days=3, results_days=90, free_gb=0)


class Archive:
    """A node's folders and store, with one series."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.folders = Clock(), Folders(folder)
        self.folders.make()
        self.spool, self.completeness = Spool(self.folders), Completeness(5, 60)
        self.store: Store = open_store("sqlite", folder, self.clock)

    def come_in(self, name: str = "1.2", image: str = "1") -> str:
        """Has an image come in, and queues its series; returns the key."""
        file = self.folders.incoming / "came"
        file.write_text("image")
        self.spool.put(file, name, f"{name}.{image}")
        self._age(name)
        arrival = Arrival(name, "1.9", "CT1", patient=Patient(patient_name="Somebody"))
        enqueue(self.store, arrival, lambda: self.spool.snapshot(name))
        return worklist(self.store)[0].key

    def _age(self, name: str) -> None:
        for path in (self.folders.spool / name).iterdir():
            os.utime(path, (self.clock.now,) * 2)

    def done(self, key: str) -> None:
        """Finishes the job with a result."""
        (self.folders.results / key).mkdir()
        (self.folders.results / key / "result.json").write_text("{}")
        assert finish(self.store, take(self.store), POSITIVE, parcels("1"))

    def pass_days(self, days: float) -> Removed:
        """Lets days pass, and removes what is old: a day before the last and on the last, as after a jump nothing goes."""
        looks = self.look(max(0.0, days - 1)), self.look(min(1.0, days))
        return Removed(sum(one.scans for one in looks), sum(one.results for one in looks))

    def look(self, days: float = 0.0) -> Removed:
        """Sets the clock forward by some days, then removes what is old."""
        self.clock.now += days * _DAY_S
        return remove_old(self.store, self.folders, _KEEP, self.completeness)

    def names(self) -> dict[str, int]:
        """Counts the entries of each folder."""
        return {name: sum(not path.name.startswith(".") for path in (self.folders.data / name).iterdir()) for name in _FOLDERS}

    def known_patients(self) -> int:
        """Counts the patients that are known."""
        with self.store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(patients)).scalar_one())


_FOLDERS = ("spool", "scans", "results")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(tmp_path)
    yield made
    made.store.close()


def test_images_go_before_results_and_patients_go_with_results(archive: Archive) -> None:
    archive.done(archive.come_in())

    assert archive.pass_days(2.9) == Removed(0, 0)
    assert archive.pass_days(0.2) == Removed(1, 0)
    assert archive.names() == {"spool": 0, "scans": 0, "results": 1}
    assert archive.known_patients() == 1
    assert archive.pass_days(87) == Removed(0, 1)
    assert archive.names() == {"spool": 0, "scans": 0, "results": 0}
    assert archive.known_patients() == 0
    assert not has_open_parcels(archive.store)
    assert archive.pass_days(1000) == Removed(0, 0)
    (row,) = worklist(archive.store)
    assert (row.patient, row.result is not None and row.result.erased) == (Patient(), True)


def test_work_that_is_still_to_be_done_keeps_its_images(archive: Archive) -> None:
    archive.come_in()

    assert archive.pass_days(1000) == Removed(0, 0)
    assert archive.names() == {"spool": 1, "scans": 1, "results": 0}


def test_a_series_that_is_coming_in_keeps_its_images(archive: Archive) -> None:
    archive.done(archive.come_in())
    archive.completeness.came("1.2", "association", "CT1", "")

    assert archive.pass_days(4) == Removed(0, 0)


def test_an_image_that_came_lately_keeps_those_of_its_series(archive: Archive) -> None:
    archive.done(archive.come_in())
    archive.clock.now += 4 * _DAY_S
    os.utime(archive.folders.spool / "1.2" / "1.2.1.dcm", (archive.clock.now,) * 2)

    assert remove_old(archive.store, archive.folders, _KEEP, archive.completeness) == Removed(0, 0)


def test_a_failed_job_whose_images_are_gone_cannot_be_queued_again(archive: Archive) -> None:
    key = archive.come_in()
    finish(archive.store, take(archive.store), FAILED)
    assert archive.pass_days(4) == Removed(1, 0)

    assert not requeue(archive.store, key)
    assert archive.pass_days(90) == Removed(0, 1)
    assert archive.known_patients() == 0


def test_a_series_that_is_sent_again_after_all_was_removed_is_assessed_anew(archive: Archive) -> None:
    archive.done(archive.come_in())
    archive.pass_days(4)
    archive.pass_days(90)
    key = archive.come_in()

    (row,) = worklist(archive.store)
    assert (row.state, row.patient.patient_name) == (State.QUEUED, "Somebody")
    archive.done(key)
    (row,) = worklist(archive.store)
    assert row.result is not None
    assert not row.result.erased


def test_one_late_image_does_not_take_the_place_of_a_result_whose_images_are_gone(archive: Archive) -> None:
    archive.come_in()
    key = archive.come_in(image="2")
    archive.done(key)
    archive.pass_days(4)
    archive.come_in(image="3")

    (row,) = worklist(archive.store)
    assert (row.key, row.state, row.images) == (key, State.DONE, 2)


def test_a_clock_that_is_set_far_forward_removes_nothing_at_once(archive: Archive) -> None:
    archive.done(archive.come_in())
    archive.look()

    assert archive.look(3650) == Removed(0, 0)
    assert archive.look(0.5) == Removed(0, 0)
    assert archive.look(-3650.5) == Removed(0, 0)  # somebody has set it right
    assert [archive.look(0.9) for _ in range(4)] == [Removed(0, 0)] * 3 + [Removed(1, 0)]


def test_a_node_that_was_off_for_long_removes_what_is_old_a_day_later(archive: Archive) -> None:
    archive.done(archive.come_in())
    archive.look()

    assert archive.look(100) == Removed(0, 0)
    assert archive.look(0.9) == Removed(0, 0)
    assert archive.look(0.2) == Removed(1, 1)
