"""The journal of a batch: ``run.json`` with every job, ``failures.csv`` with those that have no result."""

import csv
import io
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import cspine
from cspine.jobs.folders import is_plain, put_file
from cspine.jobs.job import Job, JobStatus, Shard
from cspine.storage.codec import decode
from cspine.storage.strict_json import parse_json

JOURNAL, FAILURES = "run.json", "failures.csv"
_SAVED_EVERY_S = 1.0
_SAVING_TAKES_AT_MOST = 0.02
"""Share of the time: the journal of ten thousand jobs is written less often than that of ten."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a formula of a cell, in full width too."""

_log = logging.getLogger(__name__)


class Journal:
    """Every job of a batch on disk, rewritten as the batch goes on; a reader never meets half a file.

    A share of a batch has files of its own, ``run-2-of-4.json`` and ``failures-2-of-4.csv``, so that several machines may work into
    one folder. When a share ends, all shares that are there are put together in ``run.json`` and ``failures.csv``.
    """

    def __init__(self, out: Path, facts: Mapping[str, Any], jobs: Iterable[Job], shard: Shard | None = None) -> None:
        """Begins a journal; the folder is made where it is missing.

        Args:
            out: Folder of the batch.
            facts: What holds for all jobs.
            jobs: All jobs of the batch or the share.
            shard: The share.

        Raises:
            OutputError: The folder cannot be written.
        """
        self._out, self._shard = out, shard
        self._facts = {"cspine": cspine.__version__, **facts}  # plain JSON values, so that what is read back is equal
        self._jobs = {job.name: job for job in jobs}
        self._next_save = 0.0
        self.save()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.save()
        if self._shard is not None:
            self._merge(self._shard)

    @property
    def files(self) -> tuple[str, str]:
        """Returns the names of the two files."""
        return journal_files(self._shard)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Returns all jobs, in the order in which they were given."""
        return tuple(self._jobs.values())

    def note(self, job: Job) -> None:
        """Notes what became of a job; the files follow soon."""
        self._jobs[job.name] = job
        if time.monotonic() > self._next_save:
            self.save()

    def save(self) -> None:
        """Writes the files."""
        begin = time.monotonic()
        own = {} if self._shard is None else {"shard": str(self._shard)}
        _save(self._out, journal_files(self._shard), _Content({**self._facts, **own}, self.jobs))
        end = time.monotonic()
        self._next_save = end + max(_SAVED_EVERY_S, (end - begin) / _SAVING_TAKES_AT_MOST)

    def _merge(self, shard: Shard) -> None:
        """Puts the shares together, once more if another one has gone on meanwhile: the last to end sees all that ended."""
        shares = [journal_files(Shard(index, shard.count))[0] for index in range(1, shard.count + 1)]
        texts = None
        while texts != (texts := [_text(self._out / name) for name in shares]):
            jobs: list[Job] = []
            for name, text in zip(shares, texts, strict=True):
                content = _content(text)
                if content is not None and _without_shard(content.facts) == self._facts:
                    jobs.extend(content.jobs)
                elif text:
                    why = "damaged" if content is None else "of another run"
                    _log.warning("%s is %s; %s leaves it out", name, why, JOURNAL)
            jobs.sort(key=lambda job: job.name.casefold())
            _save(self._out, journal_files(None), _Content({**self._facts, "shards": shard.count}, tuple(jobs)))


@dataclass(frozen=True, slots=True)
class _Content:
    facts: Mapping[str, Any]
    jobs: tuple[Job, ...]


def failures_csv(jobs: Sequence[Job]) -> str:
    """Returns the jobs without a result as a table: case, source, status, code, reason."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("case", "source", "status", "code", "reason"))
    table.writerows(
        tuple(map(_defused, (job.name, job.source, job.status, job.code, job.reason)))
        for job in jobs
        if job.status in (JobStatus.FAILED, JobStatus.REJECTED)
    )
    return text.getvalue()


def _defused(cell: str | None) -> str | None:
    """Returns a cell that no spreadsheet takes for a formula: an apostrophe goes before what begins like one."""
    return f"'{cell}" if cell is not None and cell.lstrip(" ").startswith(_FORMULAS) else cell


def journal_files(shard: Shard | None) -> tuple[str, str]:
    """Returns the names of the journal and of the table of failures, of a batch or a share of it."""
    if shard is None:
        return JOURNAL, FAILURES
    share = f"-{shard.index}-of-{shard.count}"
    return f"run{share}.json", f"failures{share}.csv"


def _save(out: Path, files: tuple[str, str], content: _Content) -> None:
    journal, failures = files
    data = {**content.facts, "cases": [asdict(job) for job in content.jobs]}
    put_file(out, failures, failures_csv(content.jobs))
    put_file(out, journal, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _content(text: bytes) -> _Content | None:
    """Returns what a journal says; ``None`` where the file is not a journal."""
    try:
        data = parse_json(text)
        cases = data.pop("cases") if isinstance(data, dict) and isinstance(data.get("cases"), list) else None
        if cases is None:
            return None
        jobs = tuple(decode(Job, case, f"cases[{number}]") for number, case in enumerate(cases))
    except ValueError:
        return None
    return _Content(data, jobs) if all(is_plain(name) for job in jobs for name in (job.name, *job.files)) else None


def _without_shard(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != "shard"}
