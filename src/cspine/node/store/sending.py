"""Hands objects to deliverers: what is due, what an archive took, what it confirmed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, or_, select, update

from cspine.node.store.database import Store
from cspine.node.store.nouns import OPEN, DeliveryState, Parcel, Predecessor, Sending
from cspine.node.store.tables import jobs, outbox


def claim_parcels(store: Store, destination: str, owner: str, lease_s: float, most: int) -> tuple[Sending, ...]:
    """Takes objects that are due for an archive, the oldest first; those of a series that is being assessed anew wait.

    Args:
        store: The store.
        destination: Name of the archive.
        owner: Name of the deliverer, its own.
        lease_s: So long they are his.
        most: How many at most.
    """
    with store.writing() as connection:
        now = store.clock()
        job, newer = jobs.alias(), jobs.alias()
        in_work = select(newer.c.id).where(
            newer.c.series_id == job.c.series_id, newer.c.version > job.c.version, newer.c.state.in_(OPEN)
        )
        free = or_(outbox.c.lease_until.is_(None), outbox.c.lease_until < now, outbox.c.lease_until > now + 10 * lease_s)
        due = and_(outbox.c.destination == destination, outbox.c.state == DeliveryState.WAITING, outbox.c.due_at <= now, free)
        wanted = select(outbox, job.c.key, job.c.series_id, job.c.version).join(job, job.c.id == outbox.c.job_id)
        wanted = wanted.where(due, ~in_work.exists()).order_by(outbox.c.due_at, outbox.c.id).limit(most)
        found = connection.execute(wanted.with_for_update(skip_locked=True, of=outbox)).all()
        taken = outbox.c.id.in_([row.id for row in found])
        connection.execute(update(outbox).where(taken).values(owner=owner, lease_until=now + lease_s))
        return tuple(_sending(connection, row) for row in found)


def _sending(connection: Connection, row: Row[Any]) -> Sending:
    """Returns an object with the one of the last earlier version that the same archive has."""
    earlier = (
        select(outbox.c.sop_uid, jobs.c.key, outbox.c.file)
        .join(jobs, jobs.c.id == outbox.c.job_id)
        .where(jobs.c.series_id == row.series_id, jobs.c.version < row.version, outbox.c.delivered_at.is_not(None))
        .where(outbox.c.destination == row.destination, outbox.c.kind == row.kind)
        .order_by(jobs.c.version.desc())
        .limit(1)
    )
    before = connection.execute(earlier).one_or_none()
    parcel = Parcel(row.destination, row.kind, row.sop_uid, row.sop_class, row.file)
    predecessor = None if before is None else Predecessor(before.sop_uid, before.key, before.file)
    return Sending(row.id, row.key, parcel, row.attempts + 1, predecessor)


def delivered(store: Store, sending: Sending, owner: str) -> None:
    """Records that an archive has taken an object; also where it was superseded meanwhile, for the archive has it."""
    with store.writing() as connection:
        now = store.clock()
        values = {"state": DeliveryState.DELIVERED, "delivered_at": now, "changed_at": now, "attempts": sending.attempt}
        ours = and_(outbox.c.id == sending.parcel_id, outbox.c.owner == owner)
        connection.execute(update(outbox).where(ours).values(**values, owner=None, lease_until=None, error=None))


def refused(store: Store, sending: Sending, owner: str, pause_s: float, reason: str) -> None:
    """Records that an archive did not take an object.

    Args:
        store: The store.
        sending: The object.
        owner: Name of the deliverer.
        pause_s: It is not tried again before.
        reason: Why, in one line for people.
    """
    with store.writing() as connection:
        now = store.clock()
        values = {"attempts": sending.attempt, "due_at": now + pause_s, "changed_at": now, "error": reason}
        ours = and_(outbox.c.id == sending.parcel_id, outbox.c.owner == owner, outbox.c.state == DeliveryState.WAITING)
        connection.execute(update(outbox).where(ours).values(**values, owner=None, lease_until=None))


def give_back(store: Store, sendings: Sequence[Sending], owner: str) -> None:
    """Gives back objects that were taken and not tried."""
    with store.writing() as connection:
        ours = and_(outbox.c.id.in_([sending.parcel_id for sending in sendings]), outbox.c.owner == owner)
        connection.execute(update(outbox).where(ours).values(owner=None, lease_until=None))


def hold(store: Store, sendings: Sequence[Sending], owner: str, lease_s: float) -> None:
    """Extends the lease of objects that are still to be sent."""
    with store.writing() as connection:
        ours = and_(outbox.c.id.in_([sending.parcel_id for sending in sendings]), outbox.c.owner == owner)
        connection.execute(update(outbox).where(ours).values(lease_until=store.clock() + lease_s))


def owners(store: Store) -> tuple[str, ...]:
    """Returns the deliverers that have taken objects."""
    with store.reading() as connection:
        return tuple(connection.execute(select(outbox.c.owner).where(outbox.c.owner.is_not(None)).distinct()).scalars())


def free_owner(store: Store, owner: str) -> None:
    """Gives back all that a deliverer has taken which is known to have ended."""
    with store.writing() as connection:
        connection.execute(update(outbox).where(outbox.c.owner == owner).values(owner=None, lease_until=None))


def heal_due(store: Store, longest_retry_s: float) -> None:
    """Makes objects due that would wait impossibly long, as after a clock was set back."""
    with store.writing() as connection:
        now = store.clock()
        stuck = and_(outbox.c.state == DeliveryState.WAITING, outbox.c.due_at > now + longest_retry_s)
        connection.execute(update(outbox).where(stuck).values(due_at=now))


def unconfirmed(store: Store, destination: str, again_s: float, most: int) -> tuple[tuple[str, str], ...]:
    """Returns objects that an archive took and was not asked to confirm, or did not answer: SOP Class and Instance UIDs."""
    with store.reading() as connection:
        found = select(outbox.c.sop_class, outbox.c.sop_uid).where(_is_unconfirmed(store, destination, again_s))
        return tuple((row.sop_class, row.sop_uid) for row in connection.execute(found.order_by(outbox.c.id).limit(most)))


def asked(store: Store, destination: str, sop_uids: Sequence[str], transaction_uid: str) -> None:
    """Records that an archive is asked to confirm objects."""
    with store.writing() as connection:
        ours = and_(outbox.c.destination == destination, outbox.c.sop_uid.in_(sop_uids))
        connection.execute(update(outbox).where(ours).values(transaction_uid=transaction_uid, asked_at=store.clock()))


def answered(store: Store, transaction_uid: str, kept: Sequence[str], lost: Sequence[str]) -> int:
    """Records what an archive confirms; what it does not have is sent again.

    Args:
        store: The store.
        transaction_uid: Which question it answers.
        kept: SOP Instance UIDs that it has.
        lost: Those that it does not have.

    Returns:
        How many objects the answer is about; 0 where nobody asked.
    """
    with store.writing() as connection:
        now = store.clock()
        asked_for = and_(outbox.c.transaction_uid == transaction_uid, outbox.c.state == DeliveryState.DELIVERED)
        confirmed = {"state": DeliveryState.CONFIRMED, "changed_at": now}
        again = {"state": DeliveryState.WAITING, "due_at": now, "changed_at": now, "error": "The archive did not keep it."}
        first = connection.execute(update(outbox).where(asked_for, outbox.c.sop_uid.in_(kept)).values(**confirmed)).rowcount
        return first + connection.execute(update(outbox).where(asked_for, outbox.c.sop_uid.in_(lost)).values(**again)).rowcount


def has_open_parcels(store: Store) -> bool:
    """Says whether any object is still on its way."""
    with store.reading() as connection:
        return bool(connection.execute(select(exists().where(outbox.c.state == DeliveryState.WAITING))).scalar())


def _is_unconfirmed(store: Store, destination: str, again_s: float) -> ColumnElement[bool]:
    now = store.clock()
    open_question = or_(outbox.c.asked_at.is_(None), outbox.c.asked_at < now - again_s, outbox.c.asked_at > now + again_s)
    return and_(outbox.c.destination == destination, outbox.c.state == DeliveryState.DELIVERED, open_question)
