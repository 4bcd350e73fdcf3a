import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from cspine.node.config import Config, Folder, NodeSettings, ReceiverSettings
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.receiving.watching import FolderWatch
from cspine.node.store import open_store
from cspine.node.store.worklist import Listed, worklist
from cspine.node.supervising.roles import _Desk
from tests.node.nodes import Series, until, write_series
from tests.node.times import Clock


@pytest.fixture
def series(tmp_path: Path) -> Series:
    return write_series(tmp_path / "in" / "CD" / "1", 1)


class Watched:
    """A folder, a spool, and a clock."""

    def __init__(self, folder: Path, *, remove: bool = False) -> None:
        folders = Folders(folder / "data")
        folders.make()
        self.clock, self.spool = Clock(0.0), Spool(folders)
        self.completeness, self.room = Completeness(5, 60, self.clock), True
        self.watch = FolderWatch(
            Folder(folder / "in", "CD", quiet_s=10, remove=remove),
            "folder 1",
            self.spool,
            self.completeness,
            lambda: self.room,
            self.clock,
        )


def test_files_come_in_once_they_do_not_change_any_more(tmp_path: Path, series: Series) -> None:
    watched = Watched(tmp_path)

    assert watched.watch.step() == 0
    watched.clock.now = 9
    os.utime(series.files[0])
    assert watched.watch.step() == 0
    watched.clock.now = 10
    assert watched.watch.step() == len(series.files) - 1
    watched.clock.now = 19
    assert watched.watch.step() == 1
    assert watched.completeness.take() == []
    watched.clock.now = 24
    assert watched.completeness.take() == [(series.uid, "folder 1", "CD")]
    assert len(watched.spool.images(series.uid)) == len(series.files)


def test_files_that_came_in_are_not_taken_again(tmp_path: Path, series: Series) -> None:
    watched = Watched(tmp_path)
    for now in (0, 10, 20, 30):
        watched.clock.now = now
        watched.watch.step()
    watched.completeness.take()

    assert watched.watch.step() == 0
    assert not watched.completeness.is_pending(series.uid)
    assert all(file.is_file() for file in series.files)


def test_files_are_removed_where_that_is_asked_for(tmp_path: Path, series: Series) -> None:
    watched = Watched(tmp_path, remove=True)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    for now in (0, 10):
        watched.clock.now = now
        watched.watch.step()

    assert [path.name for path in (tmp_path / "in").rglob("*") if path.is_file()] == ["notes.txt"]
    assert len(watched.spool.images(series.uid)) == len(series.files)


def test_files_that_cannot_be_kept_are_taken_once_they_can(tmp_path: Path, series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path, remove=True)
    taken = []
    with monkeypatch.context() as full:
        full.setattr(watched.spool, "put_copy", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        for now in (0, 10, 20):
            watched.clock.now = now
            taken.append(watched.watch.step())
    left = [file for file in series.files if file.is_file()]
    watched.clock.now = 30
    taken.append(watched.watch.step())

    assert taken == [0, 0, 0, len(series.files)]
    assert left == list(series.files)
    assert len(watched.spool.images(series.uid)) == len(series.files)


def test_a_nearly_full_disk_leaves_files_where_they_are(tmp_path: Path, series: Series) -> None:
    watched = Watched(tmp_path)
    watched.room = False
    taken = []
    for now in (0, 10, 20):
        watched.clock.now = now
        taken.append(watched.watch.step())
    watched.room = True
    taken.append(watched.watch.step())

    assert taken == [0, 0, 0, len(series.files)]


def test_a_receiver_that_starts_anew_knows_from_which_folder_a_series_came(tmp_path: Path, series: Series) -> None:
    watched = Watched(tmp_path)
    for now in (0, 10):
        watched.clock.now = now
        watched.watch.step()

    assert watched.spool.source(series.uid) == ("folder 1", "CD")


def test_links_and_hidden_files_stay_outside(tmp_path: Path, series: Series) -> None:
    watched = Watched(tmp_path)
    outside = tmp_path / "outside.dcm"
    series.files[0].rename(outside)
    (tmp_path / "in" / "link.dcm").symlink_to(outside)
    series.files[1].rename(series.files[1].with_name(".hidden"))
    for now in (0, 10):
        watched.clock.now = now
        watched.watch.step()

    assert len(watched.spool.images(series.uid)) == len(series.files) - 2


def test_a_series_from_a_folder_is_queued_with_the_name_of_its_site(tmp_path: Path, series: Series) -> None:
    config = Config(
        node=NodeSettings(data=tmp_path / "node"),
        receiver=ReceiverSettings(quiet_s=0.1),
        folders=(Folder(tmp_path / "in", "CD", 0.1),),
    )
    Folders(config.node.data).make()
    store = open_store("sqlite", config.node.data)
    desk = _Desk(config, store)

    def queued() -> tuple[Listed, ...]:
        desk.step()
        return worklist(store)

    (row,) = until(queued, "a job")
    store.close()

    assert (row.series_uid, row.images, row.source, row.site) == (series.uid, len(series.files), "folder 1", "CD")


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert Watched(tmp_path).watch.step() == 0
