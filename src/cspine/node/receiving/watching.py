"""Watches folders: files that appear in them come in as if they were sent, for sites without a DICOM push."""

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cspine.errors import StudyError
from cspine.node.config import Folder
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.headers import read_identity
from cspine.node.receiving.spool import Spool

_MOST_FILES = 200_000
"""A folder with more is no drop box; the rest waits until the first are gone."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    mark: tuple[int, int]
    since: float
    taken: bool = False


@dataclass(slots=True)
class FolderWatch:
    """Takes in the files of one folder once they have not changed for a while.

    Attributes:
        folder: What the configuration says of it.
        name: What stands as the source of its series.
        spool: Where images go.
        completeness: Learns of them.
        has_room: Says whether there is room for more; where there is none, all that is new stays where it is.
        clock: Says what time it is; monotonic.
    """

    folder: Folder
    name: str
    spool: Spool
    completeness: Completeness
    has_room: Callable[[], bool] = lambda: True
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Path, _Seen] = field(default_factory=dict)

    def step(self) -> int:
        """Looks at the folder once.

        Returns:
            How many images came in.
        """
        now, found, taken = self.clock(), {}, 0
        for path, mark in _files(self.folder.path):
            seen = self._seen.get(path)
            if seen is None or seen.mark != mark:
                seen = _Seen(mark, now)
            found[path] = seen
            if not seen.taken and now - seen.since >= self.folder.quiet_s and self.has_room():
                taken += self._take(path, seen)
        self._seen = found
        self.completeness.ended(self, released=True)
        return taken

    def _take(self, path: Path, seen: _Seen) -> bool:
        """Takes a file in, which is tried again after the quiet time if it could not be read or kept."""
        seen.taken = True
        try:
            identity = read_identity(path)
            self.completeness.came(identity.series_uid, self, self.name, self.folder.site)
            self.spool.note_source(identity.series_uid, self.name, self.folder.site)
            new = self.spool.put_copy(path, identity.series_uid, identity.sop_uid)
            if self.folder.remove:
                path.unlink(missing_ok=True)
        except StudyError:
            _log.info("a file in folder %s is no CT image and stays there", self.name)
            return False
        except OSError as error:
            _log.warning("a file in folder %s cannot be taken: %s", self.name, error.strerror)
            seen.taken, seen.since = False, self.clock()
            return False
        return new

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def _files(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yields the plain files below a folder, each with what changes when it does; links are not followed."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and not name.startswith("."):
                count += 1
                if count > _MOST_FILES:
                    return
                yield path, (status.st_size, status.st_mtime_ns)
