"""A scan as a job reads it: the study, and a mark by which a later run knows whether the files are still the same."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cspine import reading

if TYPE_CHECKING:
    from cspine.study import Study


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A study that was read.

    Attributes:
        study: The study.
        mark: :func:`fingerprint_of` its files, taken before they were read.
        seconds: How long reading took.
    """

    study: "Study" = field(repr=False)
    mark: str
    seconds: float


def read_scan(source: str, series_uid: str | None) -> Scan:
    """Reads one study.

    Args:
        source: Its folder or file.
        series_uid: Which series, where there are several.

    Raises:
        StudyError: It cannot be read.
    """
    begin, mark = time.perf_counter(), fingerprint_of(Path(source))
    study = reading.read_study(source, series_uid=series_uid)
    return Scan(study, mark, time.perf_counter() - begin)


def fingerprint_of(source: Path) -> str:
    """Returns a digest of the names, sizes and times of all files of a study; it changes when one is added, lost or rewritten.

    Contents are not read: for a night of studies that would cost as much as to predict them. A scan that is moved keeps its mark.
    """
    digest = hashlib.sha256()
    for name, status in sorted(_files(source), key=lambda file: file[0]):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(source: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yields every file below a folder with its path in there; a file that vanishes meanwhile is left out."""
    if not source.is_dir():
        with suppress(OSError):
            yield source.name, source.stat()
        return
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            with suppress(OSError):
                yield path.relative_to(source).as_posix(), path.lstat()
