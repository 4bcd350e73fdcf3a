"""Hands jobs to workers and takes their results: leases with a heartbeat, and one transaction for all that a result brings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from cspine.node.priority import credit_minutes, rank_at
from cspine.node.store.counting import add_to
from cspine.node.store.database import Store
from cspine.node.store.nouns import OPEN, WITH_RESULT, Claim, DeliveryState, Finished, Parcel, State
from cspine.node.store.tables import jobs, outbox, series

_LONGEST_PAUSE_S = 3600.0
"""Nobody gives a job back for longer; one that waits longer was given back before the clock was set back."""

LONGEST_HOLD_S = 10.0
"""Work on a series that may not be complete is begun so long before its result may be recorded, at most."""

LEASES_LOST = "leases_lost"
"""Name of the count of leases that expired."""


def claim(store: Store, owner: str, lease_s: float, attempts: int) -> Claim | None:
    """Takes the next job, the one that has waited longest with its credit; none where there is nothing to do.

    Where no job is due, one that is due soon is taken: its result is not to be recorded before. A job whose lease expired
    counts as tried once; one that was tried too often has failed.

    Args:
        store: The store.
        owner: Name of the worker, its own.
        lease_s: So long the job is his without a heartbeat.
        attempts: A job whose lease expired so often has failed.
    """
    with store.writing() as connection:
        now = store.clock()
        _expire(connection, now, lease_s, attempts)
        impossible = jobs.c.not_before > now + _LONGEST_PAUSE_S
        ready = and_(jobs.c.state == State.QUEUED, or_(jobs.c.not_before <= now + LONGEST_HOLD_S, impossible))
        is_early = and_(jobs.c.not_before > now, ~impossible)
        order = (is_early, jobs.c.rank_at, jobs.c.id)
        job = connection.execute(
            select(jobs).where(ready).order_by(*order).limit(1).with_for_update(skip_locked=True)
        ).one_or_none()
        if job is None:
            return None
        values = {"state": State.RUNNING, "owner": owner, "lease_until": now + lease_s, "started_at": now, "changed_at": now}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
        due_at = 0.0 if job.not_before > now + _LONGEST_PAUSE_S else job.not_before
        return Claim(job.id, job.key, owner, job.attempts + 1, due_at)


def beat(store: Store, claimed: Claim, lease_s: float) -> bool:
    """Extends a lease.

    Returns:
        Whether the job is still this worker's: it may have been superseded, or given to another one.
    """
    with store.writing() as connection:
        done = connection.execute(update(jobs).where(_is_held(claimed)).values(lease_until=store.clock() + lease_s))
        return done.rowcount == 1


def is_held(store: Store, claimed: Claim) -> bool:
    """Says whether a job is still this worker's."""
    with store.reading() as connection:
        return connection.execute(select(jobs.c.id).where(_is_held(claimed))).scalar() is not None


def release(store: Store, claimed: Claim, pause_s: float, reason: str) -> None:
    """Gives a job back that this worker cannot do now; it does not count as tried.

    Args:
        store: The store.
        claimed: The job.
        pause_s: Nobody takes it before; an hour at most.
        reason: Why, in one line for people.
    """
    with store.writing() as connection:
        now = store.clock()
        until = now + min(pause_s, _LONGEST_PAUSE_S)
        values = {"state": State.QUEUED, "owner": None, "lease_until": None, "not_before": until, "changed_at": now}
        connection.execute(update(jobs).where(_is_held(claimed)).values(**values, reason=reason))


def lose(store: Store, claimed: Claim, attempts: int) -> None:
    """Gives a job back over which something of this worker died; it counts as tried, and too many have failed.

    Args:
        store: The store.
        claimed: The job.
        attempts: A job that was tried so often has failed.
    """
    with store.writing() as connection:
        job = connection.execute(select(jobs).where(_is_held(claimed)).with_for_update()).one_or_none()
        if job is not None:
            _tried(connection, job, store.clock(), attempts)


def finish(store: Store, claimed: Claim, finished: Finished, parcels: Sequence[Parcel] = (), settle_s: float = 0.0) -> bool:
    """Records a result and all that follows from it in one transaction.

    Earlier results of the series are superseded, and what of them was not sent yet never is.

    Args:
        store: The store.
        claimed: The job.
        finished: What came of it.
        parcels: Objects that shall go to archives.
        settle_s: They are not sent before.

    Returns:
        Whether it was recorded; not where the job was superseded, or is another worker's.
    """
    with store.writing() as connection:
        now = store.clock()
        job = connection.execute(select(jobs).where(_is_held(claimed)).with_for_update()).one_or_none()
        if job is None:
            return False
        received = connection.execute(select(series.c.received_at).where(series.c.id == job.series_id)).scalar_one()
        credit = credit_minutes(finished.state, finished.probability, finished.positive)
        values = asdict(finished) | {
            "levels": list(finished.levels),
            "warnings": list(finished.warnings),
            "owner": None,
            "lease_until": None,
            "finished_at": now,
            "changed_at": now,
            "credit_minutes": credit,
            "rank_at": rank_at(received, job.rule_minutes + credit),
        }
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
        if finished.state in WITH_RESULT:
            _supersede_earlier(connection, job.series_id, job.version, now)
        for parcel in parcels:
            _put(connection, job.id, parcel, now, now + settle_s)
        return True


def requeue(store: Store, key: str) -> bool:
    """Queues a failed or ignored job once more, with all its attempts.

    Returns:
        Whether it was: not where it is something else, superseded by a later version, or its images were erased.
    """
    with store.writing() as connection:
        later = jobs.alias()
        newer = select(later.c.id).where(later.c.series_id == jobs.c.series_id, later.c.version > jobs.c.version)
        kept = select(series.c.id).where(series.c.id == jobs.c.series_id, ~series.c.scans_erased)
        again = jobs.c.state.in_((State.FAILED, State.IGNORED))
        chosen = and_(jobs.c.key == key, again, ~newer.exists(), kept.exists(), ~jobs.c.erased)
        now = store.clock()
        values = {"state": State.QUEUED, "attempts": 0, "not_before": 0.0, "changed_at": now, "code": None, "reason": None}
        return connection.execute(update(jobs).where(chosen).values(**values)).rowcount == 1


def superseded_keys(store: Store) -> tuple[str, ...]:
    """Returns the versions that were superseded before they had a result."""
    with store.reading() as connection:
        unfinished = (jobs.c.state == State.SUPERSEDED) & jobs.c.finished_at.is_(None)
        return tuple(connection.execute(select(jobs.c.key).where(unfinished, ~jobs.c.erased)).scalars())


@contextmanager
def while_superseded(store: Store, key: str) -> Iterator[bool]:
    """Says whether a version was superseded before it had a result; it is not queued again while the context is open."""
    with store.writing() as connection:
        unfinished = (jobs.c.key == key) & (jobs.c.state == State.SUPERSEDED) & jobs.c.finished_at.is_(None)
        yield connection.execute(select(jobs.c.id).where(unfinished).with_for_update()).scalar() is not None


def open_jobs(store: Store) -> int:
    """Returns how many jobs are queued or running."""
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).where(jobs.c.state.in_(OPEN))).scalar_one())


def _is_held(claimed: Claim) -> ColumnElement[bool]:
    return and_(jobs.c.id == claimed.job_id, jobs.c.state == State.RUNNING, jobs.c.owner == claimed.owner)


def _expire(connection: Connection, now: float, lease_s: float, attempts: int) -> None:
    """Gives back jobs whose worker said nothing for too long, or whose lease ends impossibly late: the clock was set back."""
    over = or_(jobs.c.lease_until < now, jobs.c.lease_until > now + 10 * lease_s)
    wanted = select(jobs).where(jobs.c.state == State.RUNNING, over).with_for_update(skip_locked=True)
    for job in connection.execute(wanted).all():
        add_to(connection, LEASES_LOST, 1)
        _tried(connection, job, now, attempts)


def _tried(connection: Connection, job: Row[Any], now: float, attempts: int) -> None:
    """Queues a job again over which a worker died, or has it fail for good."""
    tried = job.attempts + 1
    values: dict[str, Any] = {"owner": None, "lease_until": None, "changed_at": now, "attempts": tried, "state": State.QUEUED}
    if tried >= attempts:
        reason = f"The worker that did it ended {tried} times before it was done. Read the log of the node, then queue it again."
        values |= {"state": State.FAILED, "code": "worker_died", "reason": reason, "finished_at": now}
        received = connection.execute(select(series.c.received_at).where(series.c.id == job.series_id)).scalar_one()
        credit = credit_minutes(State.FAILED, None, None)
        values |= {"credit_minutes": credit, "rank_at": rank_at(received, job.rule_minutes + credit)}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))


def _supersede_earlier(connection: Connection, series_id: int, version: int, now: float) -> None:
    earlier = and_(jobs.c.series_id == series_id, jobs.c.version < version)
    left = and_(outbox.c.job_id.in_(select(jobs.c.id).where(earlier)), outbox.c.state == DeliveryState.WAITING)
    connection.execute(update(outbox).where(left).values(state=DeliveryState.CANCELLED, changed_at=now))
    ended = and_(earlier, jobs.c.state != State.IGNORED)
    connection.execute(update(jobs).where(ended).values(state=State.SUPERSEDED, changed_at=now, owner=None, lease_until=None))


def _put(connection: Connection, job_id: int, parcel: Parcel, now: float, due_at: float) -> None:
    """Puts an object into the outbox once; one that was cancelled before is sent after all."""
    same = and_(outbox.c.destination == parcel.destination, outbox.c.sop_uid == parcel.sop_uid)
    known = connection.execute(select(outbox.c.id, outbox.c.state).where(same)).one_or_none()
    values = {"job_id": job_id, "due_at": due_at, "changed_at": now, "state": DeliveryState.WAITING}
    if known is None:
        connection.execute(insert(outbox).values(**asdict(parcel), **values, created_at=now))
    elif known.state == DeliveryState.CANCELLED:
        connection.execute(update(outbox).where(same).values(**values, file=parcel.file))
