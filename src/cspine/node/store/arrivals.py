"""Queues series that came in: one job for each version, which supersedes what was to be done of earlier ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from cspine.node.priority import rank_at
from cspine.node.store.database import Store, is_postgresql
from cspine.node.store.nouns import OPEN, WITH_RESULT, Arrival, Snapshot, State
from cspine.node.store.tables import jobs, patients, series

_QUEUEING = 7_201_125
"""Number of the lock in PostgreSQL that processes which queue hold together, and one that clears up holds alone."""


def enqueue(store: Store, arrival: Arrival, take: Callable[[], Snapshot], hold_s: float = 0.0) -> int | None:
    """Queues a series as it is now; queued and running work on earlier versions of it is superseded.

    The images are listed inside the transaction, so that versions are numbered in the order in which images came.

    Args:
        store: The store.
        arrival: What is known of it.
        take: Takes a snapshot of its images; called while nobody else queues the series.
        hold_s: The result of a new version is not recorded before.

    Returns:
        The number of the job; ``None`` where these very images were queued before, and that was not withdrawn.
    """
    with store.writing() as connection:
        if is_postgresql(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock_shared(:number)"), {"number": _QUEUEING})
        series_id = _held_series(connection, arrival, store.clock())
        snapshot = take()
        known = connection.execute(
            select(jobs.c.id, or_(jobs.c.erased, _is_withdrawn()).label("again")).where(
                jobs.c.series_id == series_id, jobs.c.digest == snapshot.digest
            )
        ).one_or_none()
        connection.execute(update(series).where(series.c.id == series_id).values(updated_at=store.clock(), scans_erased=False))
        if known is not None and not known.again:
            return None
        if known is not None:
            _queue_again(connection, known.id, store.clock())
            return int(known.id)
        return _insert(connection, series_id, arrival, snapshot, store.clock(), hold_s)


def _held_series(connection: Connection, arrival: Arrival, now: float) -> int:
    """Returns the series, known from now on, which no other transaction queues meanwhile."""
    held = select(series.c.id).where(series.c.series_uid == arrival.series_uid).with_for_update()
    found = connection.execute(held).scalar()
    if found is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(series).values(**_series_values(arrival), received_at=now, updated_at=now))
        except IntegrityError:  # another process was faster
            pass
        found = connection.execute(held).scalar_one()
    known = connection.execute(select(patients.c.series_id).where(patients.c.series_id == found)).scalar()
    if known is None:
        connection.execute(insert(patients).values(series_id=found, **asdict(arrival.patient)))
    return int(found)


def _series_values(arrival: Arrival) -> dict[str, Any]:
    return {name: getattr(arrival, name) for name in ("series_uid", "study_uid", "source", "site", "scanner", "kernel")}


def _insert(connection: Connection, series_id: int, arrival: Arrival, snapshot: Snapshot, now: float, hold_s: float) -> int:
    earlier = connection.execute(select(jobs).where(jobs.c.series_id == series_id).order_by(jobs.c.version.desc())).all()
    ignored = arrival.ignored or _fragment(earlier, snapshot)
    if ignored is None:
        _supersede(connection, series_id, now)
    received = connection.execute(select(series.c.received_at).where(series.c.id == series_id)).scalar_one()
    credit = next((job.credit_minutes for job in earlier if job.state in WITH_RESULT), 0.0)
    values = {
        "series_id": series_id,
        "version": earlier[0].version + 1 if earlier else 1,
        "key": snapshot.key,
        "digest": snapshot.digest,
        "images": snapshot.images,
        "state": State.QUEUED if ignored is None else State.IGNORED,
        "code": None if ignored is None else "ignored",
        "reason": ignored,
        "created_at": now,
        "changed_at": now,
        "not_before": now + hold_s if hold_s > 0 else 0.0,
        "rule_minutes": arrival.minutes,
        "credit_minutes": credit,
        "rank_at": rank_at(received, arrival.minutes + credit),
    }
    inserted = connection.execute(insert(jobs).values(**values)).inserted_primary_key
    return int(inserted[0]) if inserted is not None else 0


def _fragment(earlier: "list[Row[Any]] | Any", snapshot: Snapshot) -> str | None:
    """Returns why a version is no successor: images only leave when they are erased, so that fewer are a part of the series."""
    most = max((job.images for job in earlier if job.state in WITH_RESULT), default=0)
    if snapshot.images >= most:
        return None
    return f"Only {snapshot.images} images came after the {most} of an earlier version were erased. Send the whole series again."


def _supersede(connection: Connection, series_id: int, now: float) -> None:
    stale = (jobs.c.series_id == series_id) & jobs.c.state.in_(OPEN)
    values = {"state": State.SUPERSEDED, "changed_at": now, "owner": None, "lease_until": None}
    connection.execute(update(jobs).where(stale).values(**values))


def withdraw(store: Store, series_uid: str) -> None:
    """Ends work on a series that was begun early and to which images came; it is queued anew when it is complete."""
    with store.writing() as connection:
        now = store.clock()
        series_id = select(series.c.id).where(series.c.series_uid == series_uid).scalar_subquery()
        early = and_(jobs.c.series_id == series_id, jobs.c.state.in_(OPEN), jobs.c.not_before > now)
        values = {"state": State.SUPERSEDED, "changed_at": now, "owner": None, "lease_until": None}
        connection.execute(update(jobs).where(early).values(**values))


def _is_withdrawn() -> ColumnElement[bool]:
    """Says of a job that it was superseded before it had a result, by no later version."""
    later = jobs.alias()
    newer = select(later.c.id).where(later.c.series_id == jobs.c.series_id, later.c.version > jobs.c.version)
    return and_(jobs.c.state == State.SUPERSEDED, jobs.c.finished_at.is_(None), ~newer.exists())


def _queue_again(connection: Connection, job_id: int, now: float) -> None:
    values = {
        "state": State.QUEUED,
        "changed_at": now,
        "erased": False,
        "attempts": 0,
        "not_before": 0.0,
        "reason": None,
        "code": None,
    }
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))


@contextmanager
def while_nothing_is_queued(store: Store) -> Iterator[frozenset[str]]:
    """Gives the names of the folders of all jobs; no series is queued while the context is open, so that none is missing."""
    with store.writing() as connection:
        if is_postgresql(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _QUEUEING})
        yield frozenset(connection.execute(select(jobs.c.key)).scalars())


def is_queued(store: Store, series_uid: str, digest: str) -> bool:
    """Says whether these very images of a series were queued before, and that was not withdrawn."""
    with store.reading() as connection:
        found = (
            select(func.count()).select_from(jobs.join(series)).where(series.c.series_uid == series_uid, jobs.c.digest == digest)
        ).where(~_is_withdrawn())
        return bool(connection.execute(found).scalar_one())
