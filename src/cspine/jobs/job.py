"""Lists the jobs of a batch: a name for every study, and the share of one machine among several."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cspine import reading
from cspine.errors import InputError, StudyError, UsageError, is_want_of_memory

if TYPE_CHECKING:
    from cspine.reading import FileGuard

_SUFFIXES = (".nii.gz", ".nii", ".zip", ".dcm")
_LONGEST_NAME = 200
"""Bytes; file systems take 255."""


class JobStatus(StrEnum):
    """Says what became of a job."""

    WAITING = "waiting"
    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """One study of a batch.

    Attributes:
        name: Name of its folder in the output.
        source: What is read.
        status: What became of it.
        seconds: How long it took.
        code: Why it failed or was rejected, as a stable short name; ``None`` otherwise.
        reason: The same in one line for people.
        fault: Whether it failed by a fault of ours and not of its input.
        files: What was written, in its folder.
        notes: What to know of those files: what was left out, or filled in.
    """

    name: str
    source: str
    status: JobStatus = JobStatus.WAITING
    seconds: float = 0.0
    code: str | None = None
    reason: str | None = None
    fault: bool = False
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def done(self, result: Mapping[str, Any], files: tuple[str, ...], notes: tuple[str, ...]) -> "Job":
        """Returns the same job with the result that ``result.json`` has.

        Args:
            result: What it says, as :func:`cspine.reporting.json_result.read_result` gives it.
            files: What was written beside it, and itself.
            notes: What to know of them.
        """
        status, seconds = JobStatus(result["status"]), sum(result["timings_s"].values())
        why = result["reasons"][0] if status is JobStatus.REJECTED else {"code": None, "text": None}
        job = replace(self, status=status, seconds=round(seconds, 3), code=why["code"], reason=why["text"])
        return replace(job, files=files, notes=notes)

    def failed(self, error: Exception) -> "Job":
        """Returns the same job, failed by an error; one that is not of ours is a fault of cspine."""
        if is_want_of_memory(error):
            reason = "There is too little memory for this study. Free some, or use a machine that has more."
            return replace(self, status=JobStatus.FAILED, code="too_little_memory", reason=reason)
        if isinstance(error, InputError):
            return replace(self, status=JobStatus.FAILED, code=_code(error), reason=str(error))
        text = " ".join(f"A fault of cspine: {type(error).__name__}: {error}".split())
        return replace(self, status=JobStatus.FAILED, code="fault", reason=text, fault=True)


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of a batch: the same name falls into the same of ``count`` shares, whatever else is in the batch.

    Attributes:
        index: Which share, from 1.
        count: How many there are.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise UsageError(f"--shard needs i/n with i from 1 to n, as 2/4. Received: {self.index}/{self.count}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``i/n``.

        Raises:
            UsageError: It is something else.
        """
        if not re.fullmatch(r"[0-9]{1,6}/[0-9]{1,6}", text):
            raise UsageError(f"--shard needs i/n with i from 1 to n, as 2/4. Received: {text}")
        index, count = map(int, text.split("/"))
        return cls(index, count)

    def has(self, name: str) -> bool:
        """Says whether a job of this name is in the share."""
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def find_jobs(paths: Sequence[Path], shard: Shard | None = None, guard: "FileGuard | None" = None) -> tuple[Job, ...]:
    """Returns the studies under some paths, each with a name of its own; a path without any is a job that failed.

    Args:
        paths: Studies, or folders of them.
        shard: Only the jobs of this share; names are given before, so that all shares agree about them.
        guard: Runs what inspects a file; this process does if ``None``.
    """
    names: set[str] = set()
    seen: set[Path] = set()
    jobs = []
    for source, error in _sources(paths, guard or reading.unguarded):
        place = source.resolve()
        if place in seen:
            continue
        seen.add(place)
        job = Job(_own_name(place, names), str(place))
        jobs.append(job if error is None else job.failed(error))
    return tuple(job for job in jobs if shard is None or shard.has(job.name))


def _sources(paths: Sequence[Path], guard: "FileGuard") -> Iterator[tuple[Path, InputError | None]]:
    """Yields studies, and what should be one with the reason why it is not."""
    for path in paths:
        try:
            listing = reading.list_studies(path, guard)
        except InputError as error:
            yield path, error
            continue
        yield from ((study, None) for study in listing.studies)
        yield from listing.barren


def _own_name(source: Path, taken: set[str]) -> str:
    """Returns a folder name after the source that no job has yet; adds it to ``taken``."""
    plain = source.name
    for suffix in _SUFFIXES:
        if plain.lower().endswith(suffix) and len(plain) > len(suffix):
            plain = plain[: -len(suffix)]
            break
    plain = "".join(c if c.isprintable() and c not in '\\/:*?"<>|' else "_" for c in plain)
    plain = _shortened(unicodedata.normalize("NFC", plain).strip(" .")) or "study"
    name, count = plain, 1
    while name.casefold() in taken or _is_reserved(name):
        count += 1
        name = f"{plain}-{count}"
    taken.add(name.casefold())
    return name


def _shortened(name: str) -> str:
    """Returns the beginning of a name, so short that a number and the names of files still fit behind it on every file system."""
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore").strip(" .")


def _is_reserved(name: str) -> bool:
    """Says whether a file of the batch may have this name: run.json, failures.csv, index.html and those of shards."""
    return re.fullmatch(r"((run|failures)(-\d+-of-\d+)?\.(json|csv))|index\.html", name.casefold()) is not None


def _code(error: InputError) -> str:
    if isinstance(error, StudyError):
        return error.code
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__.removesuffix("Error")).lower()
