import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cspine.storage.files import (
    LockedError,
    clear_unfinished,
    locked,
    locked_together,
    remove,
    replacing_file,
    replacing_folder,
    write_bytes,
    write_text,
)

_LONGEST = "頸" * 84 + ".h"
"""254 bytes; the file system takes 255."""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_over_an_earlier_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one\r\n")
    write_text(tmp_path / "a.txt", "two\r\n")

    assert (tmp_path / "a.txt").read_bytes() == b"two\r\n"
    assert _names(tmp_path) == ["a.txt"]


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    write_bytes(tmp_path / _LONGEST, b"one")
    with replacing_folder(tmp_path / _LONGEST[:-1]) as made:
        (made / "a").write_bytes(b"two")

    assert _names(tmp_path) == sorted([_LONGEST, _LONGEST[:-1]])


def test_new_files_have_the_rights_that_the_user_gives_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
        with replacing_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(before)

    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o640, 0o750]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    write_text(tmp_path / "a", "kept")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_text("kept")

    for replacing in (replacing_file, replacing_folder):
        with pytest.raises(type(error)), replacing(tmp_path / "ab"[replacing is replacing_folder]):
            raise error

    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "c").read_text() == "kept"
    assert _names(tmp_path) == ["a", "b"]


def test_a_folder_takes_the_place_of_an_earlier_one_with_nothing_of_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with replacing_folder(tmp_path / "a") as made:
            (made / "inner").mkdir()
            (made / "inner" / name).write_text(name)

    assert _names(tmp_path / "a" / "inner") == ["two"]
    assert _names(tmp_path) == ["a"]


def test_an_earlier_folder_comes_back_when_nothing_can_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    rename, told = Path.rename, []

    def fails_later(path: Path, target: Path) -> Path:
        told.append(path)
        if len(told) == 3:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails_later)
    with pytest.raises(OSError, match="Input/output error"), replacing_folder(tmp_path / "a"):
        pass

    assert _names(tmp_path / "a") == ["old"]
    assert _names(tmp_path) == ["a"]


def test_a_link_is_replaced_and_what_it_leads_to_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "target").write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").symlink_to(tmp_path / "elsewhere" / "target")
    (out / "folder").symlink_to(tmp_path / "elsewhere")

    write_text(out / "file", "new")
    with replacing_folder(out / "folder") as made:
        (made / "target").write_text("new")
    remove(out / "folder")

    assert (tmp_path / "elsewhere" / "target").read_text() == "precious"
    assert _names(out) == ["file"]
    assert not (out / "file").is_symlink()


def test_nobody_can_guess_where_a_file_is_written_or_look_into_it(tmp_path: Path) -> None:
    seen = set()
    for _ in range(5):
        with replacing_file(tmp_path / "a.npz") as made:
            made.touch()
            seen.add(made.parent)
            assert made.suffix == ".npz"
            assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700

    assert len(seen) == 5
    assert all(len(folder.name) > 32 for folder in seen)


def test_what_is_removed_is_gone_at_once_and_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").touch()

    for name in ("a", "c", "nowhere", "nowhere/at/all"):
        remove(tmp_path / name)

    assert _names(tmp_path) == []


def _write_and_wait(folder: Path) -> "subprocess.Popen[str]":
    """Returns a process that is busy writing into a folder."""
    program = (
        "import sys, pathlib\n"
        "from cspine.storage.files import replacing_folder\n"
        "with replacing_folder(pathlib.Path(sys.argv[1], 'a')) as made:\n"
        "    (made / 'half').write_text('half')\n"
        "    print('busy', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    return process


def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    dead, alive = _write_and_wait(tmp_path), _write_and_wait(tmp_path)
    with dead, alive:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        (tmp_path / ".git").mkdir()
        assert len(_names(tmp_path)) == 3

        clear_unfinished(tmp_path)
        assert len(_names(tmp_path)) == 2
        alive.communicate("")

    assert _names(tmp_path) == [".git", "a"]
    assert _names(tmp_path / "a") == ["half"]


def test_clearing_up_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in (".alive", "precious"):
        (tmp_path / "elsewhere" / name).touch()
    (tmp_path / ".unfinished-0").symlink_to(tmp_path / "elsewhere")

    clear_unfinished(tmp_path)

    assert _names(tmp_path / "elsewhere") == [".alive", "precious"]


def test_writers_do_not_lose_their_work_to_those_who_clear_up(tmp_path: Path) -> None:
    done = threading.Event()

    def clear() -> None:
        while not done.is_set():
            clear_unfinished(tmp_path)

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        for number in range(100):
            write_text(tmp_path / f"{number}", "there")
    finally:
        done.set()
        thread.join()

    assert len(_names(tmp_path)) == 100


def test_a_lock_is_held_once_or_by_many_together_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path):
        for again in (locked, locked_together):
            with pytest.raises(LockedError), again(path):
                pass
    with locked_together(path):
        with locked_together(path), pytest.raises(LockedError), locked(path):
            pass
        with pytest.raises(LockedError), locked(path):
            pass
    assert _names(tmp_path) == []


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from cspine.storage.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "lock")], check=True)
    assert _names(tmp_path) == ["lock"]

    with locked(tmp_path / "lock"):
        pass

    assert _names(tmp_path) == []


def test_a_link_where_a_lock_should_be_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match="symbolic"), locked(tmp_path / "lock"):
        pass

    assert not (tmp_path / "target").exists()


def test_a_file_system_without_locks_is_told_and_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("cspine.storage.files.fcntl.flock", unknown)
    write_text(tmp_path / "a", "there")
    with locked(tmp_path / "lock"):
        clear_unfinished(tmp_path)

    assert (tmp_path / "a").read_text() == "there"
    assert "does not support locks: let no other process write there" in caplog.text
