import errno
import os
from pathlib import Path
from typing import Any

import pytest

from cspine.errors import StudyError
from cspine.node.receiving.spool import Folders, Spool, digest_of


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    Folders(tmp_path).make()
    return Spool(Folders(tmp_path))


def _put(spool: Spool, tmp_path: Path, sop_uid: str, text: str = "image", series_uid: str = "1.2") -> bool:
    file = tmp_path / "spool" / ".incoming" / "came"
    file.write_text(text)
    return spool.put(file, series_uid, sop_uid)


def test_an_image_lies_under_its_series(spool: Spool, tmp_path: Path) -> None:
    assert _put(spool, tmp_path, "1.2.1")

    assert (tmp_path / "spool" / "1.2" / "1.2.1.dcm").read_text() == "image"
    assert list((tmp_path / "spool" / ".incoming").iterdir()) == []
    assert list(spool.series()) == ["1.2"]
    assert spool.images("1.2") == ("1.2.1",)
    assert spool.images("1.3") == ()


def test_the_first_image_of_a_uid_stays(spool: Spool, tmp_path: Path) -> None:
    _put(spool, tmp_path, "1.2.1", "first")

    assert not _put(spool, tmp_path, "1.2.1", "second")
    assert (tmp_path / "spool" / "1.2" / "1.2.1.dcm").read_text() == "first"
    assert list((tmp_path / "spool" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("uid", ["", "..", "../1", "a", ".1", "1" * 65, "1/2", "1\n", "1\0"])
def test_a_uid_that_cannot_name_a_file_is_refused(spool: Spool, tmp_path: Path, uid: str) -> None:
    with pytest.raises(
        StudyError, match=r"^A SOP Instance UID needs 1 to 64 digits and dots\. Received: .*\. Correct the images\.$"
    ):
        _put(spool, tmp_path, uid)
    with pytest.raises(StudyError, match=r"^A Series Instance UID needs 1 to 64 digits and dots\."):
        _put(spool, tmp_path, "1.2", series_uid=uid)


def test_a_snapshot_stays_as_it_is_when_more_images_come(spool: Spool, tmp_path: Path) -> None:
    _put(spool, tmp_path, "1.2.1")
    first = spool.snapshot("1.2")
    again = spool.snapshot("1.2")
    _put(spool, tmp_path, "1.2.2")
    second = spool.snapshot("1.2")

    assert first == again
    assert (first.images, second.images) == (1, 2)
    assert first.digest == digest_of(("1.2.1",)) != second.digest
    assert [path.name for path in (tmp_path / "scans" / first.key).iterdir()] == ["1.2.1.dcm"]
    assert len(list((tmp_path / "scans" / second.key).iterdir())) == 2
    assert (tmp_path / "scans" / first.key / "1.2.1.dcm").stat().st_nlink == 3
    assert "1.2" not in first.key[:3]


def test_a_file_system_without_links_gets_copies(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("cspine.node.receiving.spool.os.link", refuse)
    _put(spool, tmp_path, "1.2.1")

    snapshot = spool.snapshot("1.2")

    assert (tmp_path / "scans" / snapshot.key / "1.2.1.dcm").read_text() == "image"
    assert (tmp_path / "scans" / snapshot.key / "1.2.1.dcm").stat().st_nlink == 1


def test_a_full_disk_leaves_no_half_snapshot(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _put(spool, tmp_path, "1.2.1")
    monkeypatch.setattr("cspine.node.receiving.spool.os.link", refuse)

    with pytest.raises(OSError, match="No space"):
        spool.snapshot("1.2")
    assert list((tmp_path / "scans").iterdir()) == []


def test_who_sent_a_series_is_remembered(spool: Spool, tmp_path: Path) -> None:
    spool.note_source("1.2", "CT1", "ER")
    spool.note_source("1.2", "CT2", "")

    assert spool.source("1.2") == ("CT1", "ER")
    assert spool.source("1.3") == ("", "")
    assert spool.images("1.2") == ()


def test_what_a_receiver_that_ended_has_left_is_cleared(spool: Spool, tmp_path: Path) -> None:
    _put(spool, tmp_path, "1.2.1")
    known, orphan = spool.snapshot("1.2"), "0" * 32
    (tmp_path / "scans" / orphan).mkdir()
    (tmp_path / "spool" / ".incoming" / "tmp1.dcm").write_text("half")
    (tmp_path / "scans" / (".unfinished-" + "0" * 32)).mkdir()
    (tmp_path / "spool" / "1.2" / (".unfinished-" + "0" * 32)).mkdir()

    spool.clear(frozenset({known.key}))

    assert [path.name for path in (tmp_path / "scans").iterdir()] == [known.key]
    assert list((tmp_path / "spool" / ".incoming").iterdir()) == []
    assert [path.name for path in (tmp_path / "spool" / "1.2").iterdir()] == ["1.2.1.dcm"]


def test_only_what_nothing_was_written_to_for_long_is_cleared_while_images_come(spool: Spool, tmp_path: Path) -> None:
    for name, age_s in (("old", 4000), ("new", 0)):
        path = tmp_path / "spool" / ".incoming" / name
        path.write_text("half")
        os.utime(path, (path.stat().st_mtime - age_s,) * 2)

    spool.clear_incoming(3600)

    assert [path.name for path in (tmp_path / "spool" / ".incoming").iterdir()] == ["new"]


def test_nobody_else_may_look_into_the_folders(spool: Spool, tmp_path: Path) -> None:
    assert [path.stat().st_mode & 0o077 for path in tmp_path.iterdir()] == [0, 0, 0]
