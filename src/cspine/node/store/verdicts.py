"""Keeps what readers say of results: agreement or not by level, bound to the version and the package."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from cspine.anatomy import Level
from cspine.errors import UsageError
from cspine.node.store.audit import Entry, add_entry
from cspine.node.store.database import Store
from cspine.node.store.nouns import WITH_RESULT
from cspine.node.store.tables import jobs, series, verdicts

_LONGEST_COMMENT = 4000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Holds what a reader says of one version.

    Attributes:
        key: Which version.
        reader: Who says so.
        levels: Whether a level is fractured, by its name, ``C1`` to ``C7``; those that are not named were not assessed.
        comment: More of it.
    """

    key: str
    reader: str
    levels: dict[str, bool]
    comment: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.levels) - set(Level.__members__))
        if unknown or not self.levels:
            said = ", ".join(unknown)[:60] if unknown else "none"
            raise UsageError(f"A verdict needs levels C1 to C7. Received: {said}. Correct it.")
        if not all(isinstance(value, bool) for value in self.levels.values()):
            raise UsageError("A verdict says true or false of a level. Received something else. Correct it.")
        if len(self.comment) > _LONGEST_COMMENT:
            raise UsageError(f"A comment has at most {_LONGEST_COMMENT} characters. Received: {len(self.comment)}. Shorten it.")


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """Holds a verdict with what it is bound to.

    Attributes:
        verdict: What was said.
        study_uid: Of which study.
        series_uid: Of which series.
        version: Of which version of it.
        package: Name of the model package that made the result.
        package_version: Its version.
        created_at: When.
    """

    verdict: Verdict
    study_uid: str
    series_uid: str
    version: int
    package: str
    package_version: str
    created_at: float


def put_verdict(store: Store, verdict: Verdict) -> None:
    """Keeps a verdict, and its entry in the audit trail; earlier ones of the same reader stay and count no more.

    Raises:
        UsageError: There is no such result, or a later version has superseded it.
    """
    with store.writing() as connection:
        job = connection.execute(select(jobs).where(jobs.c.key == verdict.key)).one_or_none()
        if job is None or job.state not in WITH_RESULT:
            raise UsageError("A verdict needs the present result of a series. A later version has superseded this one. Read that.")
        now = store.clock()
        values = {"levels": verdict.levels, "comment": verdict.comment, "reader": verdict.reader, "created_at": now}
        about: dict[str, Any] = {"job_id": job.id, "package": job.package, "package_version": job.package_version}
        connection.execute(insert(verdicts).values(**values, **about))
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(changed_at=now))
        add_entry(connection, Entry(verdict.reader, "verdict", verdict.key), now)


def read_verdicts(store: Store, key: str | None = None) -> tuple[KeptVerdict, ...]:
    """Returns the last verdict of every reader on every version, oldest first.

    Args:
        store: The store.
        key: Only those of this version.
    """
    found = select(verdicts, jobs.c.key, jobs.c.version, series.c.study_uid, series.c.series_uid)
    found = found.join(jobs, jobs.c.id == verdicts.c.job_id).join(series, series.c.id == jobs.c.series_id)
    if key is not None:
        found = found.where(jobs.c.key == key)
    with store.reading() as connection:
        rows = connection.execute(found.order_by(verdicts.c.id)).all()
    last = {(row.job_id, row.reader): row for row in rows}
    return tuple(_kept(row) for row in sorted(last.values(), key=lambda row: row.id))


def _kept(row: Any) -> KeptVerdict:
    verdict = Verdict(row.key, row.reader, dict(row.levels), row.comment)
    return KeptVerdict(verdict, row.study_uid, row.series_uid, row.version, row.package, row.package_version, row.created_at)
