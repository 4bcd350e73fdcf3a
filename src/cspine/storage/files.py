"""Files and folders that are there whole or not at all, and locks that two processes respect.

What is written goes into a folder beside its place first, whose name nobody can guess and into which nobody else may look. It is
forced to the disk, then renamed. The folder holds a lock for as long as its writer lives, so that :func:`clear_unfinished` can tell
what a dead process has left from what a living one is working on.
"""

import errno
import logging
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_UNFINISHED, _ALIVE, _OLD = ".unfinished-", ".alive", ".old"
_TRIES = 20
_IN_THE_WAY = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)

_log = logging.getLogger(__name__)


class LockedError(OSError):
    """Another process holds a lock."""


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Gives a place to write a file to; when the block ends without an error, the file takes the place of ``path``.

    A link at ``path`` is replaced, never followed.

    Args:
        path: Where the file shall be; its folder is there.

    Yields:
        A path of the same name in a folder of its own, where nothing is yet.

    Raises:
        OSError: The file cannot be written.
    """
    with unfinished_folder(path.parent) as place:
        made = place / path.name
        yield made
        _flush(made)
        made.replace(path)
        _flush(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; when the block ends without an error, it takes the place of ``path``.

    What was at ``path`` is moved aside and deleted last. A link at ``path`` is replaced, never followed.

    Args:
        path: Where the folder shall be; the folder above it is there.

    Yields:
        The folder to fill.

    Raises:
        OSError: It cannot be written.
    """
    with unfinished_folder(path.parent) as place:
        made = place / path.name
        made.mkdir()
        yield made
        for folder, _, names in os.walk(made):
            for name in names:
                _flush(Path(folder, name))
            _flush(Path(folder))
        _put(made, path, place)
        _flush(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    with (
        replacing_file(path) as made,
        os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666), "wb") as file,
    ):
        file.write(data)


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    """Writes a file in UTF-8, whole or not at all; ends of lines stay as they are.

    Args:
        path: Where.
        text: What.
        errors: What becomes of characters that UTF-8 does not have, as for :meth:`str.encode`.

    Raises:
        OSError: It cannot be written.
    """
    write_bytes(path, text.encode("utf-8", errors))


def append_text(path: Path, text: str) -> None:
    """Adds to the end of a file, which is made where it is missing; what is already there stays, a link is refused.

    Raises:
        OSError: It cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK, 0o666)
    with os.fdopen(descriptor, "a", encoding="utf-8", newline="") as file:
        file.write(text)


def remove(path: Path) -> None:
    """Removes a file or a folder at once: nobody meets half of it. What is not there is no error.

    Raises:
        OSError: It cannot be moved out of the way.
    """
    with suppress(FileNotFoundError), unfinished_folder(path.parent) as place:
        path.rename(place / _OLD)


def clear_unfinished(folder: Path) -> None:
    """Removes from a folder what processes that have ended left half written; what living ones write stays."""
    with suppress(OSError):
        for place in [Path(entry) for entry in os.scandir(folder) if entry.name.startswith(_UNFINISHED)]:
            if not place.is_symlink():
                _clear(place)


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """Makes a folder for unfinished work; only this user can enter it, and it goes in the end with all that is left in it.

    Its name cannot be guessed. While its writer lives it is locked, so that :func:`clear_unfinished` leaves it alone.

    Args:
        parent: Where it is made.

    Yields:
        The folder.

    Raises:
        OSError: It cannot be made.
    """
    place, lock = _new_workplace(parent)
    try:
        yield place
    finally:
        _delete(place)
        os.close(lock)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock that nobody else holds meanwhile, in no process and no thread.

    Where the file system knows no locks, a warning is logged and the block runs without.

    Args:
        path: A file for the lock, which is made and removed again; its folder is there.

    Raises:
        LockedError: Somebody holds it.
        OSError: The file cannot be made.
    """
    with _held(path, shared=False):
        yield


@contextmanager
def locked_together(path: Path) -> Iterator[None]:
    """Holds a lock that is shared with others, while none holds it exclusively as by :func:`locked`.

    Raises:
        LockedError: It is held exclusively elsewhere.
        OSError: The file cannot be made.
    """
    with _held(path, shared=True):
        yield


def _new_workplace(parent: Path) -> tuple[Path, int]:
    for _ in range(_TRIES):
        place = parent / f"{_UNFINISHED}{secrets.token_hex(16)}"
        place.mkdir(mode=0o700)
        try:
            lock = os.open(place / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600)
        except FileNotFoundError:  # a process that clears up took it for an empty one that was left
            continue
        if _take(lock, shared=False) is not False and _is_same(lock, place / _ALIVE):
            return place, lock
        os.close(lock)  # likewise, a moment later
    raise LockedError(errno.EAGAIN, "another process removes what is written")


def _clear(place: Path) -> None:
    try:
        lock = os.open(place / _ALIVE, os.O_RDWR | _NO_LINK)
    except FileNotFoundError:  # its writer ended before it had a lock, or is about to make one and will notice
        with suppress(OSError):
            place.rmdir()
        return
    except OSError:
        return
    try:
        if _take(lock, shared=False):
            _delete(place)
    finally:
        os.close(lock)


def _delete(place: Path) -> None:
    """Deletes the lock last, so that what is half deleted can still be distinguished from what is alive."""
    for path in list(place.iterdir()) if place.is_dir() else []:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _ALIVE:
            path.unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)


def _put(made: Path, path: Path, place: Path) -> None:
    """Renames a file; what is in the way is moved aside, and comes back if nothing takes its place."""
    old = path
    try:
        for number in range(_TRIES):
            try:
                made.rename(path)
            except OSError as error:
                if error.errno not in _IN_THE_WAY or number == _TRIES - 1:
                    raise
            else:
                return
            old = place / f"{_OLD}{number}"
            with suppress(FileNotFoundError):
                path.rename(old)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(path):
            old.rename(path)
        raise


def _flush(path: Path) -> None:
    """Forces a file, or the names in a folder, to the disk; links and what else has no data of its own are left."""
    if path.is_symlink():
        return
    if path.is_dir():
        with suppress(OSError):  # not every file system can
            _synchronise(path)
    else:
        _synchronise(path)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | _NO_LINK)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _held(path: Path, *, shared: bool) -> Iterator[None]:
    lock = _open_lock(path, shared=shared)
    try:
        yield
    finally:
        if _take(lock, shared=False) and _is_same(lock, path):  # no one else holds it
            path.unlink(missing_ok=True)
        os.close(lock)


def _open_lock(path: Path, *, shared: bool) -> int:
    for _ in range(_TRIES):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        taken = _take(lock, shared=shared)
        if taken is None:
            _log.warning("%s does not support locks: let no other process write there", path.parent)
        if taken is not False and _is_same(lock, path):
            return lock
        os.close(lock)
        if taken is False:
            break
    raise LockedError(errno.EAGAIN, "another process is at work")


def _take(lock: int, *, shared: bool) -> bool | None:
    """Says whether the lock of an open file is ours now; ``None`` where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_same(lock: int, path: Path) -> bool:
    """Says whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(lock), path.lstat())
    except OSError:
        return False
