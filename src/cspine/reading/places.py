"""Finds the bytes of a study: in a folder, a zip or a file; read in memory, within limits, never outside."""

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from cspine.reading import limits
from cspine.reading.formats import is_passed_over
from cspine.reading.messages import Refusal

_LONGEST_END = (1 << 16) + 128
_LISTED = b"PK\x01\x02"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a place.

    Attributes:
        name: Its path inside the place.
        size: Bytes, unpacked.
        stamp: Changes when the file does.
    """

    name: str
    size: int
    stamp: int


class Place(Protocol):
    """Something with files in it."""

    path: Path
    entries: tuple[FileEntry, ...]
    links: int

    def read(self, entry: FileEntry, start: int = 0, count: int | None = None) -> bytes:
        """Returns the bytes of a file from ``start``, to its end or at most ``count``.

        Raises:
            StudyError: The file is damaged, or no longer what it was when the place was opened.
        """
        ...

    def open(self, entry: FileEntry) -> BinaryIO:
        """Opens a file to read piece by piece.

        Raises:
            StudyError: It cannot be opened.
        """
        ...


@contextmanager
def opened(path: Path) -> Iterator[Place]:
    """Returns the folder, zip or single file at ``path``.

    Raises:
        StudyError: It is not there, cannot be opened or exceeds the limits.
    """
    with ExitStack() as resources:
        yield _open(path, resources)


def _open(path: Path, resources: ExitStack) -> Place:
    try:
        if path.is_dir():
            return FolderPlace(path)
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refusal.NOT_A_FILE.error(place=path)
        if is_zip(path):
            _check_directory(path)
            return ZipPlace(path, resources.enter_context(zipfile.ZipFile(path)))
        return FolderPlace(path.parent, only=path)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise Refusal.DAMAGED_ZIP.error(name=path.name, cause=error) from error
    except OSError as error:
        raise Refusal.NOT_FOUND.error(place=path, cause=error.strerror) from error
    except ValueError as error:  # a name that no file can have
        raise Refusal.NOT_FOUND.error(place=path, cause=error) from error


def check_file(path: Path) -> None:
    """Makes sure that there is a regular file.

    Raises:
        StudyError: There is none.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refusal.NOT_A_FILE.error(place=path)
    except OSError as error:
        raise Refusal.NOT_FOUND.error(place=path, cause=error.strerror) from error
    except ValueError as error:  # a name that no file can have
        raise Refusal.NOT_FOUND.error(place=path, cause=error) from error


def is_zip(path: Path) -> bool:
    """Says whether a regular file is a zip from its first byte on (a DICOM file may end like one)."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06") and zipfile.is_zipfile(path)


def _check_directory(path: Path) -> None:
    """Refuses a zip whose list of files is too long, before it is read: what stands behind it says where it is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST_END))
        tail = file.read(_LONGEST_END)
        end = tail.rfind(b"PK\x05\x06")
        length = int.from_bytes(tail[end + 12 : end + 16], "little")
        behind = len(tail) - end
        if tail[max(0, end - 76) : max(0, end - 72)] == b"PK\x06\x06":  # the end of a zip of more than 65,535 files or 4 GiB
            length, behind = int.from_bytes(tail[end - 36 : end - 28], "little"), behind + 76
        begin = size - behind - length
        if length <= limits.MAX_DIRECTORY_BYTES and begin >= 0:
            file.seek(begin)
            if file.read(length).count(_LISTED) <= limits.MAX_FILES:
                return
            raise Refusal.TOO_MANY_FILES.error(limit=limits.MAX_FILES, place=path)
    if begin < 0:
        raise Refusal.DAMAGED_ZIP.error(name=path.name, cause="its list of files is longer than the zip")
    raise Refusal.TOO_MANY_FILES.error(limit=limits.MAX_FILES, place=path)


class FolderPlace:
    """A folder and what is below it, or one file of it. Links are counted, not followed."""

    def __init__(self, path: Path, only: Path | None = None) -> None:
        self.path = only or path
        self._root = path
        self.links = 0
        self._found = 0
        self.entries = (_entry(only.name, only.stat()),) if only else tuple(sorted(self._walk(path), key=lambda e: e.name))

    def _walk(self, folder: Path, depth: int = 0, above: str = "") -> Iterator[FileEntry]:
        if depth > limits.MAX_DEPTH:
            raise Refusal.TOO_DEEP.error(place=self._root, limit=limits.MAX_DEPTH)
        with os.scandir(folder) as children:
            for child in children:
                if child.is_symlink():
                    self.links += 1
                elif is_passed_over(child.name):
                    continue
                elif child.is_dir(follow_symlinks=False):
                    yield from self._walk(Path(child.path), depth + 1, f"{above}{child.name}{os.sep}")
                elif child.is_file(follow_symlinks=False):
                    self._found += 1
                    if self._found > limits.MAX_FILES:
                        raise Refusal.TOO_MANY_FILES.error(limit=limits.MAX_FILES, place=self._root)
                    yield _entry(above + child.name, child.stat(follow_symlinks=False))

    def read(self, entry: FileEntry, start: int = 0, count: int | None = None) -> bytes:
        """See :meth:`Place.read`."""
        if count is None and entry.size > limits.MAX_FILE_BYTES:
            raise Refusal.FILE_TOO_BIG.error(limit=limits.MAX_FILE_BYTES, name=entry.name, size=entry.size)
        wanted = max(0, min(entry.size - start, entry.size if count is None else count))
        try:
            with (self._root / entry.name).open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                file.seek(start)
                data = file.read(wanted)
        except FileNotFoundError as error:
            raise Refusal.CHANGED_WHILE_READ.error(name=entry.name) from error
        except OSError as error:
            raise Refusal.NOT_ALLOWED.error(name=entry.name, cause=error.strerror) from error
        if _entry(entry.name, status) != entry or len(data) != wanted:
            raise Refusal.CHANGED_WHILE_READ.error(name=entry.name)
        return data

    def open(self, entry: FileEntry) -> BinaryIO:
        """See :meth:`Place.open`."""
        try:
            return (self._root / entry.name).open("rb")
        except OSError as error:
            raise Refusal.NOT_ALLOWED.error(name=entry.name, cause=error.strerror) from error


class ZipPlace:
    """A zip. Nothing is unpacked to disk, so names that point outside do no harm."""

    links = 0

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        members = [
            member
            for member in archive.infolist()
            if member.filename and not member.is_dir() and not is_passed_over(member.filename)
        ]
        if len(members) > limits.MAX_FILES:
            raise Refusal.TOO_MANY_FILES.error(limit=limits.MAX_FILES, place=path)
        size = sum(member.file_size for member in members)
        if size > limits.MAX_ARCHIVE_BYTES:
            raise Refusal.ZIP_TOO_BIG.error(limit=limits.MAX_ARCHIVE_BYTES, place=path, size=size)
        self._members = {member.filename: member for member in members}
        self.entries = tuple(FileEntry(name, member.file_size, member.CRC) for name, member in sorted(self._members.items()))

    def read(self, entry: FileEntry, start: int = 0, count: int | None = None) -> bytes:
        """See :meth:`Place.read`."""
        if count is None and entry.size > limits.MAX_FILE_BYTES:
            raise Refusal.FILE_TOO_BIG.error(limit=limits.MAX_FILE_BYTES, name=entry.name, size=entry.size)
        end = entry.size if count is None else min(entry.size, start + count)
        try:
            with self._archive.open(self._members[entry.name]) as file:
                data = file.read(end)  # never more than the zip says, however much is packed
        # zipfile says "encrypted" with RuntimeError and "unknown packing" with NotImplementedError
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
            raise Refusal.DAMAGED_ZIP.error(name=f"{entry.name} in {self.path.name}", cause=error) from error
        if len(data) != end:
            raise Refusal.DAMAGED_ZIP.error(name=f"{entry.name} in {self.path.name}", cause="it ends too early")
        return data[start:]

    def open(self, entry: FileEntry) -> BinaryIO:
        """See :meth:`Place.open`."""
        try:
            return cast(BinaryIO, self._archive.open(self._members[entry.name]))
        except (zipfile.BadZipFile, OSError, RuntimeError) as error:
            raise Refusal.DAMAGED_ZIP.error(name=f"{entry.name} in {self.path.name}", cause=error) from error


def _entry(name: str, status: os.stat_result) -> FileEntry:
    return FileEntry(name, status.st_size, status.st_mtime_ns)
