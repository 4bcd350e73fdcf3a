"""Prepared volumes, kept on disk: found by what they were made of and how, whole or not there, and never more than a stated size.

::

    <folder>/entries/<key>/facts.json, <name>.npy   one preparation of one study: whose, how, and a digest of each array
    <folder>/digests/<key>                          the content of files whose names, sizes and times are known, and of which
    <folder>/texts/<key>                            a short text that follows from some content, as what a check of a study found
    <folder>/limit.json                             what it may hold, where somebody stated that

Many processes may use one folder. An entry is written beside and renamed (:mod:`cspine.storage.files`), so a reader sees a whole
one or none; two writers of the same entry wrote the same. An entry that is not of the study that is asked for, or whose arrays
are not those that were written, is made again. A cleaning removes what a sudden death left, never what is being written.
"""

import json
import os
import re
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
from cspine.storage.array_files import map_array
from cspine.storage.files import clear_unfinished, remove, replacing_folder, write_text
from cspine.storage.strict_json import read_json

DEFAULT_LIMIT_BYTES = 20 << 30
"""What a cache holds unless another limit is given: 20 GiB."""

_FORMAT = 2
_FACTS, _ENTRIES, _DIGESTS, _TEXTS, _LIMIT = "facts.json", "entries", "digests", "texts", "limit.json"
_BLOCK = 1 << 20
_DIGEST = r"[0-9a-f]{40}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One preparation of one study.

    Attributes:
        home: Its folder.
        facts: What it is of, as JSON knows it.
    """

    home: Path
    facts: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, source: str, preparation: Mapping[str, Any]) -> "_Entry":
        """Returns the entry of some content in a cache."""
        text = json.dumps([_FORMAT, source, preparation], sort_keys=True)
        stored = json.loads(text)  # as it is read back: tuples have become lists
        return cls(folder / _ENTRIES / _digest(text.encode()), dict(zip(("format", "source", "preparation"), stored, strict=True)))

    @property
    def whose(self) -> list[Any]:
        """Checks format, content and preparation."""
        return list(self.facts.values())


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Describes how full a cache is.

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
        limit_bytes: Beyond this, those that were not used for longest are removed; less where the folder states less.
    """

    def __init__(self, folder: str | Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = Path(folder)
        stated = _stated_limit(self.folder)
        self.limit_bytes = limit_bytes if stated is None else min(stated, limit_bytes)
        self._seen: dict[Path, tuple[object, ...]] = {}

    def arrays(
        self, source: str, preparation: Mapping[str, Any], make: Callable[[], Mapping[str, NDArray[Any]]]
    ) -> dict[str, NDArray[Any]]:
        """Returns arrays by name, mapped from disk, read-only; made and kept if they are not there or damaged.

        Args:
            source: The content that they are made of, from :meth:`content`.
            preparation: How they are made: everything that matters, as JSON knows it, with a version of the code.
            make: Makes them.

        Raises:
            OutputError: The folder cannot be written.
        """
        entry = _Entry.of(self.folder, source, preparation)
        found = self._opened(entry)
        if found is None:
            found = self._kept(entry, make())
        return found

    def text(self, source: str, preparation: Mapping[str, Any], make: Callable[[], str]) -> str:
        """Returns a short text that follows from some content; made and kept if it is not there or damaged.

        Texts do not count towards the limit of the cache.

        Args:
            source: The content that it is made of, from :meth:`content`.
            preparation: How it is made: everything that matters, as JSON knows it, with a version of the code.
            make: Makes it.

        Raises:
            OutputError: The folder cannot be written.
        """
        key = _digest(json.dumps([_FORMAT, source, preparation], sort_keys=True).encode())
        place = self.folder / _TEXTS / key
        text = _kept_text(place, key)
        if text is None:
            text = make()
            self._remember(place, json.dumps({"of": key, "text": text, "digest": _digest(text.encode())}))
        return text

    def content(self, paths: Iterable[Path]) -> str:
        """Returns a digest of the names and bytes of files.

        It is remembered for files whose path, size and time of change stay the same, so that only new files are read.

        Raises:
            OutputError: The folder cannot be written.
        """
        files = sorted(paths)
        seen = _digest(json.dumps([(str(path.absolute()), *_stat(path)) for path in files]).encode())
        memo = self.folder / _DIGESTS / seen
        known = _remembered(memo, seen)
        if known is not None:
            return known
        content = blake2b(digest_size=20)
        for path in files:
            content.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    content.update(block)
        self._remember(memo, json.dumps({"files": seen, "content": content.hexdigest()}))
        return content.hexdigest()

    def state_limit(self, limit_bytes: int) -> None:
        """States what the folder may hold from now on, whoever uses it, and removes what is too much.

        Raises:
            OutputError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / _LIMIT, json.dumps({"limit_bytes": limit_bytes}))
        except OSError as error:
            raise self._no_room(error) from error
        self.limit_bytes = limit_bytes
        self.clean()

    def use(self) -> CacheUse:
        """Returns how full it is."""
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
        for part in (_ENTRIES, _DIGESTS, _TEXTS):
            clear_unfinished(self.folder / part)
        if limit == 0:
            for part in (_DIGESTS, _TEXTS):
                shutil.rmtree(self.folder / part, ignore_errors=True)
        return removed

    def _opened(self, entry: _Entry) -> dict[str, NDArray[Any]] | None:
        """Returns the arrays of an entry, or ``None`` where it is absent, damaged or of something else.

        Arrays are read and compared with their digests once by each cache, and again when their files have changed.
        """
        try:
            facts = read_json(entry.home / _FACTS)
            digests, whose = facts["arrays"], [facts["format"], facts["source"], facts["preparation"]]
            if whose != entry.whose or not all(isinstance(digest, str) for digest in digests.values()):
                return None
            if {path.stem for path in entry.home.glob("*.npy")} != set(digests):
                return None
            found = {}
            for name, digest in digests.items():
                if not name.isidentifier():
                    return None
                path = entry.home / f"{name}.npy"
                state = (digest, *_stat(path), path.stat().st_ino)
                if self._seen.get(path) != state and _digest_of(path) != digest:
                    return None
                self._seen[path] = state
                found[name] = map_array(path)
            os.utime(entry.home)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return found

    def _kept(self, entry: _Entry, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            self._write(entry, arrays)
        except OSError as error:
            raise self._no_room(error) from error
        found = self._opened(entry)
        self.clean()
        return dict(arrays) if found is None else found

    def _write(self, entry: _Entry, arrays: Mapping[str, NDArray[Any]]) -> None:
        entry.home.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(entry.home) as made:
            for name, array in arrays.items():
                np.save(made / f"{name}.npy", array, allow_pickle=False)
            digests = {name: _digest_of(made / f"{name}.npy") for name in arrays}
            (made / _FACTS).write_text(json.dumps({**entry.facts, "arrays": digests}), encoding="utf-8")

    def _remember(self, memo: Path, text: str) -> None:
        try:
            memo.parent.mkdir(parents=True, exist_ok=True)
            write_text(memo, text)
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
        """Returns the time of last use, size and place of every entry."""
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


def _stated_limit(folder: Path) -> int | None:
    """Returns what a folder states that it may hold; ``None`` where it states nothing."""
    try:
        limit = read_json(folder / _LIMIT)["limit_bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return limit if type(limit) is int and limit >= 0 else None


def _remembered(memo: Path, seen: str) -> str | None:
    """Returns the content that a memo tells, if it is of these files and whole."""
    try:
        stored = read_json(memo)
        content = stored["content"] if stored["files"] == seen else ""
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if isinstance(content, str) and re.fullmatch(_DIGEST, content) else None


def _kept_text(place: Path, key: str) -> str | None:
    """Returns the text of a file, if it is the one that was kept under its name, and whole."""
    try:
        stored = read_json(place)
        text = stored["text"] if stored["of"] == key else None
        whole = isinstance(text, str) and _digest(text.encode()) == stored["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return text if whole else None


def _stat(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _digest_of(path: Path) -> str:
    content = blake2b(digest_size=20)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            content.update(block)
    return content.hexdigest()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=20).hexdigest()
