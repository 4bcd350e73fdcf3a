"""Keeps images as they came: a folder for each series, a file for each image, there whole or not at all."""

import errno
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cspine.errors import StudyError, one_line
from cspine.node.store.nouns import Snapshot
from cspine.storage.files import clear_unfinished, remove, unfinished_folder, write_text
from cspine.storage.strict_json import read_json

INCOMING = ".incoming"
"""Folder of files that are still being received."""

_UID = re.compile(r"[0-9][0-9.]{0,63}")
_SUFFIX, _PART, _SOURCE = ".dcm", ".part", ".source.json"
_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)
_KEY_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Folders:
    """Says where a node keeps what it has.

    Attributes:
        data: The folder of the node.
    """

    data: Path

    @property
    def spool(self) -> Path:
        """Returns where images lie by series, as they come."""
        return self.data / "spool"

    @property
    def scans(self) -> Path:
        """Returns where the images of every version lie."""
        return self.data / "scans"

    @property
    def results(self) -> Path:
        """Returns where the result of every version lies."""
        return self.data / "results"

    @property
    def incoming(self) -> Path:
        """Returns where images lie until they are whole."""
        return self.spool / INCOMING

    def make(self) -> None:
        """Makes the folders that are missing; nobody else may look into them.

        Raises:
            OSError: They cannot be made.
        """
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.spool, self.scans, self.results, self.incoming):
            folder.mkdir(mode=0o700, exist_ok=True)

    def free_gb(self) -> float:
        """Returns how much room is left, in units of 10⁹ bytes."""
        return shutil.disk_usage(self.data).free / 1e9


def check_uid(uid: str, what: str) -> str:
    """Returns a UID that is fit to name a file.

    Raises:
        StudyError: It is none.
    """
    if not _UID.fullmatch(uid):
        raise StudyError(f"{what} needs 1 to 64 digits and dots. Received: {one_line(uid, 80)}. Correct the images.")
    return uid


class Spool:
    """Puts images into the folders of their series."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def put(self, file: Path, series_uid: str, sop_uid: str) -> bool:
        """Moves a whole file into the folder of its series; it is on the disk before this returns.

        An image that came before stays as it is: a SOP Instance UID names one image for ever.

        Args:
            file: The file, on the same file system; it is gone afterwards.
            series_uid: Of which series.
            sop_uid: Which image.

        Returns:
            Whether it is new.

        Raises:
            StudyError: A UID cannot name a file.
            OSError: It cannot be kept.
        """
        folder = self._folders.spool / check_uid(series_uid, "A Series Instance UID")
        place = folder / f"{check_uid(sop_uid, 'A SOP Instance UID')}{_SUFFIX}"
        _synchronise(file)
        for _ in range(3):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                _synchronise(self._folders.spool)
            try:
                if place.exists():
                    file.unlink()
                    return False
                file.replace(place)
            except FileNotFoundError:  # retention removed the folder meanwhile
                continue
            _synchronise(folder)
            return True
        raise FileNotFoundError(errno.ENOENT, "the folder of the series vanishes", str(folder))

    def put_copy(self, file: Path, series_uid: str, sop_uid: str) -> bool:
        """Copies a file into the folder of its series; otherwise as :meth:`put`."""
        name = f"{os.getpid()}-{threading.get_ident()}{_PART}"  # two threads may hold the same image
        copied = self._folders.incoming / name
        try:
            shutil.copyfile(file, copied)
            return self.put(copied, series_uid, sop_uid)
        finally:
            copied.unlink(missing_ok=True)

    def series(self) -> Iterator[str]:
        """Yields the Series Instance UIDs of which images are here."""
        for entry in sorted(os.scandir(self._folders.spool), key=lambda entry: entry.name):
            if _UID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.name

    def images(self, series_uid: str) -> tuple[str, ...]:
        """Returns the SOP Instance UIDs of the images of a series."""
        try:
            names = [entry.name for entry in os.scandir(self._folders.spool / series_uid)]
        except FileNotFoundError:
            return ()
        return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))

    def note_source(self, series_uid: str, source: str, site: str) -> None:
        """Notes beside the images of a series who sent it, for a receiver that starts anew; the first who sends counts."""
        folder = self._folders.spool / check_uid(series_uid, "A Series Instance UID")
        if not (folder / _SOURCE).exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            write_text(folder / _SOURCE, json.dumps([source, site]))

    def source(self, series_uid: str) -> tuple[str, str]:
        """Returns who sent a series, and what people call the place; empty where that is not known."""
        try:
            source, site = read_json(self._folders.spool / series_uid / _SOURCE)
        except (OSError, ValueError, TypeError):
            return "", ""
        return str(source), str(site)

    def is_newer(self, series_uid: str, moment: float) -> bool:
        """Says whether any image of a series came after a moment."""
        folder = self._folders.spool / series_uid
        return any((folder / f"{image}{_SUFFIX}").stat().st_mtime > moment for image in self.images(series_uid))

    def first_image(self, series_uid: str) -> Path | None:
        """Returns the file of one image of a series, the same one for the same images."""
        images = self.images(series_uid)
        return self._folders.spool / series_uid / f"{images[0]}{_SUFFIX}" if images else None

    def snapshot(self, series_uid: str) -> Snapshot:
        """Takes the images of a series as they are now into the folder of a version; taken again it is the same.

        The files are linked, not copied, where the file system can.

        Raises:
            OSError: They cannot be linked or copied.
        """
        images = self.images(series_uid)
        digest = digest_of(images)
        key = hashlib.sha256(f"{series_uid}\0{digest}".encode()).hexdigest()[:_KEY_DIGITS]
        place = self._folders.scans / key
        if not place.is_dir():
            with unfinished_folder(self._folders.scans) as unfinished:
                made = unfinished / key
                made.mkdir(mode=0o700)
                for image in images:
                    _link(self._folders.spool / series_uid / f"{image}{_SUFFIX}", made / f"{image}{_SUFFIX}")
                _synchronise(made)
                with suppress(FileExistsError):
                    made.rename(place)
            _synchronise(self._folders.scans)
        return Snapshot(key, digest, len(images))

    def drop_series(self, series_uid: str) -> None:
        """Removes the images of a series."""
        remove(self._folders.spool / check_uid(series_uid, "A Series Instance UID"))

    def clear_incoming(self, older_s: float) -> None:
        """Removes files whose reception ended before they were whole.

        Args:
            older_s: Only those to which nothing was written for so long.
        """
        for file in self._folders.incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime >= older_s:
                    file.unlink()

    def clear(self, known: frozenset[str]) -> None:
        """Removes what a receiver that ended has left half done.

        Args:
            known: Names of the versions that are queued or were; the folders of others belong to nobody.
        """
        for folder in (self._folders.spool, self._folders.scans, *(self._folders.spool / uid for uid in self.series())):
            clear_unfinished(folder)
        self.clear_incoming(0.0)
        for folder in self._folders.scans.iterdir():
            if not folder.name.startswith(".") and folder.name not in known:
                remove(folder)


def digest_of(images: tuple[str, ...]) -> str:
    """Returns what a set of images is known by."""
    return hashlib.sha256("\n".join(sorted(images)).encode()).hexdigest()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)
        _synchronise(target)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
