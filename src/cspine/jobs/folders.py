"""The folder of a job: there whole or not at all, with a record of how it was made."""

import json
import shutil
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from cspine.errors import OutputError
from cspine.jobs.job import Job
from cspine.jobs.scans import fingerprint_of

RECORD = "case.json"
RESULT = "result.json"
_PARTIAL, _OLD = ".partial-", ".old-"

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a job is done: two that are done in the same way from the same files have the same results.

    Attributes:
        cspine: Version of cspine.
        model_sha256: Digest of the model package.
        localiser_sha256: Digest of the package that finds the vertebrae.
        operating_point: The thresholds.
        series_uid: The series that was asked for.
        formats: What is written.
    """

    cspine: str
    model_sha256: str
    localiser_sha256: str
    operating_point: str
    series_uid: str | None
    formats: tuple[str, ...]

    def covers(self, other: "Provenance") -> bool:
        """Whether what this makes is what the other would make; more formats do no harm."""
        return set(other.formats) <= set(self.formats) and replace(other, formats=self.formats) == self


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What ``case.json`` says.

    Attributes:
        provenance: How it was made.
        scan: Fingerprint of the files that it was made of; see :func:`cspine.jobs.scans.fingerprint_of`.
        files: What was written.
        notes: What to know of that.
    """

    provenance: Provenance
    scan: str
    files: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads it.

        Raises:
            ValueError, LookupError, TypeError: It is none.
        """
        data = json.loads(text)
        provenance = Provenance(**{**data["provenance"], "formats": tuple(data["provenance"]["formats"])})
        return cls(provenance, data["scan"], tuple(data["files"]), tuple(data["notes"]))


def kept(out: Path, job: Job, provenance: Provenance) -> Job | None:
    """The job as an earlier run left it, where it is finished and was made in the same way of the files that are there now."""
    folder = out / job.name
    try:
        record = JobRecord.from_json((folder / RECORD).read_text(encoding="utf-8"))
        if not record.provenance.covers(provenance) or record.scan != fingerprint_of(Path(job.source)):
            return None
        if not all((folder / name).is_file() for name in record.files):
            return None
        return job.done(json.loads((folder / RESULT).read_text(encoding="utf-8")), record.files, record.notes)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def put_job(out: Path, name: str, write: Callable[[Path], Made], known_by: str = RESULT) -> Made:
    """Fills the folder of a job under a temporary name, then renames it; an earlier result of that name is replaced.

    Args:
        out: The folder of the batch.
        name: Name of the job.
        write: Fills the folder that it is given.
        known_by: The file by which a folder is known for an earlier result.

    Returns:
        What ``write`` returns.

    Raises:
        OutputError: The folder cannot be written, or holds something else than a result.
    """
    key = _key()
    folder, partial, old = out / name, out / f".{name}{_PARTIAL}{key}", out / f".{name}{_OLD}{key}"
    if folder.exists() and not (folder / known_by).is_file():
        raise OutputError(f"{folder} is in the way: it holds no {known_by}. Move it, or choose another folder with -o.")
    try:
        partial.mkdir()
        made = write(partial)
        if folder.exists():
            folder.replace(old)
        partial.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}. Choose another folder with -o.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return made


def drop_job(out: Path, name: str) -> None:
    """Removes the result that an earlier run left of a job which fails now: it is of other files, or made in another way."""
    folder, old = out / name, out / f".{name}{_OLD}{_key()}"
    if (folder / RESULT).is_file():
        folder.replace(old)
        shutil.rmtree(old, ignore_errors=True)


def put_file(out: Path, name: str, text: str) -> None:
    """Writes a file of the batch under a temporary name, then renames it; the folder is made where it is missing.

    Raises:
        OutputError: It cannot be written.
    """
    partial = out / f".{name}{_PARTIAL}{_key()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")
        partial.replace(out / name)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}. Choose another folder with -o.") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def clear_leftovers(out: Path, names: Collection[str]) -> None:
    """Removes what was half written when an earlier run was killed, of these jobs and files."""
    for path in out.glob(".*"):
        name = path.name[1:].rpartition(_PARTIAL)[0] or path.name[1:].rpartition(_OLD)[0]
        if name not in names:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _key() -> str:
    """Two that write at the same time do not meet."""
    return uuid.uuid4().hex[:8]
