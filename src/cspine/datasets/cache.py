"""Prepared volumes, kept on disk: found by what they were made of and how, whole or not there, and never more than a stated size.

::

    <folder>/entries/<key>/facts.json, <name>.npy   one preparation of one study
    <folder>/digests/<key>                          the content of files whose names, sizes and times are known

Many processes may use one folder. An entry is written beside and renamed (:mod:`cspine.files`), so a reader sees a whole one or
none; two writers of the same entry wrote the same. A cleaning removes what a sudden death left, never what is being written.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.errors import OutputError
from cspine.files import clear_unfinished, remove, replacing_folder, write_text

DEFAULT_LIMIT_BYTES = 20 << 30
"""What a cache holds unless it is told otherwise: 20 GiB."""

_FORMAT = 1
_FACTS, _ENTRIES, _DIGESTS = "facts.json", "entries", "digests"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How full a cache is.

    Attributes:
        entries: Number of prepared studies.
        size_bytes: What they take.
        limit_bytes: What they may take.
        unused_s: Since when the least recently used one was not asked for; 0 for an empty cache.
    """

    entries: int
    size_bytes: int
    limit_bytes: int
    unused_s: float


class Cache:
    """A folder of prepared volumes.

    Args:
        folder: Where they lie; made when it is first written to.
        limit_bytes: Beyond this, those that were not used for longest are removed.
    """

    def __init__(self, folder: str | Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = Path(folder)
        self.limit_bytes = limit_bytes

    def arrays(
        self, source: str, preparation: Mapping[str, Any], make: Callable[[], Mapping[str, NDArray[Any]]]
    ) -> dict[str, NDArray[Any]]:
        """Arrays by name, mapped from disk, read-only; made and kept if they are not there or damaged.

        Args:
            source: The content that they are made of, from :meth:`content`.
            preparation: How they are made: everything that matters, as JSON knows it, with a version of the code.
            make: Makes them.

        Raises:
            OutputError: The folder cannot be written.
        """
        key = _digest(json.dumps([_FORMAT, source, preparation], sort_keys=True).encode())
        home = self.folder / _ENTRIES / key
        found = _opened(home)
        if found is None:
            found = self._kept(home, make())
        return found

    def content(self, paths: Iterable[Path]) -> str:
        """A digest of the names and bytes of files.

        It is remembered for files whose path, size and time of change stay the same, so that only new files are read.

        Raises:
            OutputError: The folder cannot be written.
        """
        files = sorted(paths)
        seen = [(str(path.absolute()), *_stat(path)) for path in files]
        memo = self.folder / _DIGESTS / _digest(json.dumps(seen).encode())
        try:
            return memo.read_text(encoding="utf-8")
        except OSError:
            pass
        told = blake2b(digest_size=20)
        for path in files:
            told.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    told.update(block)
        self._remember(memo, told.hexdigest())
        return told.hexdigest()

    def use(self) -> CacheUse:
        """How full it is."""
        sizes = self._entries()
        oldest = min((used for used, _, _ in sizes), default=time.time())
        return CacheUse(len(sizes), sum(size for _, size, _ in sizes), self.limit_bytes, max(0.0, time.time() - oldest))

    def clean(self, limit_bytes: int | None = None) -> int:
        """Removes entries, least recently used first, until the rest takes ``limit_bytes`` or less, and what dead writers left.

        Returns:
            How many entries were removed.
        """
        limit = self.limit_bytes if limit_bytes is None else limit_bytes
        entries = self._entries()
        total, removed = sum(size for _, size, _ in entries), 0
        for _, size, home in sorted(entries):
            if total <= limit:
                break
            self._remove(home)
            total -= size
            removed += 1
        for part in (_ENTRIES, _DIGESTS):
            clear_unfinished(self.folder / part)
        if limit == 0:
            shutil.rmtree(self.folder / _DIGESTS, ignore_errors=True)
        return removed

    def _kept(self, home: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            self._write(home, arrays)
        except OSError as error:
            raise self._no_room(error) from error
        found = _opened(home)
        self.clean()
        return dict(arrays) if found is None else found

    def _write(self, home: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        home.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(home) as made:
            for name, array in arrays.items():
                np.save(made / f"{name}.npy", array, allow_pickle=False)
            sizes = {f"{name}.npy": (made / f"{name}.npy").stat().st_size for name in arrays}
            (made / _FACTS).write_text(json.dumps({"format": _FORMAT, "sizes": sizes}), encoding="utf-8")

    def _remember(self, memo: Path, digest: str) -> None:
        try:
            memo.parent.mkdir(parents=True, exist_ok=True)
            write_text(memo, digest)
        except FileNotFoundError:  # a cleaning was quicker; the digest is worked out again when it is asked for
            pass
        except OSError as error:
            raise self._no_room(error) from error

    def _remove(self, home: Path) -> None:
        """Moves an entry away first, so that nobody finds half of it."""
        try:
            remove(home)
        except OSError as error:
            raise self._no_room(error) from error

    def _entries(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and place of every entry."""
        found = []
        for home in (self.folder / _ENTRIES).glob("[!.]*"):
            try:
                found.append((_time_of(home), sum(path.stat().st_size for path in home.iterdir()), home))
            except OSError:  # another process removed it meanwhile
                continue
        return found

    def _no_room(self, error: OSError) -> OutputError:
        return OutputError(
            f"The cache needs a folder that can be written, and room in it. Received: {self.folder} ({error.strerror})."
        )


def _opened(home: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays of an entry, or ``None`` where it is absent or damaged."""
    try:
        facts = json.loads((home / _FACTS).read_text(encoding="utf-8"))
        sizes: dict[str, int] = facts["sizes"]
        if any((home / name).stat().st_size != size for name, size in sizes.items()):
            return None
        found = {name.removesuffix(".npy"): np.load(home / name, mmap_mode="r", allow_pickle=False) for name in sizes}
        os.utime(home)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found


def _stat(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=20).hexdigest()
