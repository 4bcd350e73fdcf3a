"""The folder of a job: there whole or not at all, with a record of how it was made."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from cspine.errors import OutputError
from cspine.jobs.job import Job
from cspine.jobs.scans import fingerprint_of
from cspine.reporting.json_result import read_result
from cspine.storage.codec import decode
from cspine.storage.files import remove, replacing_folder, write_text
from cspine.storage.strict_json import parse_json

RECORD = "case.json"
RESULT = "result.json"

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Describes how a job is done: two that are done in the same way from the same files have the same results.

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
        """Says whether this makes all that the other would make; more formats do no harm."""
        return set(other.formats) <= set(self.formats) and replace(other, formats=self.formats) == self


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Holds what ``case.json`` says.

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
        """Returns it as text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads it.

        Raises:
            ValueError: It is none.
        """
        return decode(cls, parse_json(text), RECORD)


def kept(out: Path, job: Job, provenance: Provenance) -> Job | None:
    """Returns the job as an earlier run left it, where it is finished and was done in the same way from the present files."""
    folder = out / job.name
    try:
        record = JobRecord.from_json((folder / RECORD).read_bytes())
        if not record.provenance.covers(provenance) or record.scan != fingerprint_of(Path(job.source)):
            return None
        if not all(is_plain(name) and (folder / name).is_file() for name in record.files):
            return None
        return job.done(read_result(folder / RESULT), record.files, record.notes)
    except (OSError, ValueError):
        return None


def earlier_formats(out: Path, job: Job) -> tuple[str, ...]:
    """Returns the formats that an earlier run wrote of a job; none where it left nothing that can be read."""
    try:
        return JobRecord.from_json((out / job.name / RECORD).read_bytes()).provenance.formats
    except (OSError, ValueError):
        return ()


def is_plain(name: str) -> bool:
    """Says whether a name that was read is one of a file or folder right here, and not hidden."""
    return Path(name).name == name and "\\" not in name and not name.startswith(".")


def put_job(out: Path, name: str, write: Callable[[Path], Made], known_by: str = RESULT) -> Made:
    """Fills the folder of a job whole or not at all; an earlier result of that name is replaced.

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
    folder = out / name
    if folder.exists() and not (folder / known_by).is_file():
        raise OutputError(f"{folder} is in the way: it holds no {known_by}. Move it, or choose another folder with -o.")
    try:
        with replacing_folder(folder) as place:
            return write(place)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}. Choose another folder with -o.") from error


def drop_job(out: Path, name: str) -> None:
    """Removes the result that an earlier run left of a job which fails now: it is of other files, or made in another way."""
    if (out / name / RESULT).is_file():
        remove(out / name)


def put_file(out: Path, name: str, text: str) -> None:
    """Writes a file of the batch, whole or not at all; the folder is made where it is missing.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / name, text, errors="surrogateescape")
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}. Choose another folder with -o.") from error
