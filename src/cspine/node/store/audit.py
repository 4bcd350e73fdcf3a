"""Keeps an audit trail that can only grow: each entry holds the digest of the one before."""

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text

from cspine.node.store.database import Store, is_postgresql
from cspine.node.store.tables import audit as trail

_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds one entry: who did what to what; never a patient's name or identifier.

    Attributes:
        actor: A user, a token, an AE title, or ``node``.
        action: What was done, as ``login`` or ``verdict``.
        subject: To what: the key of a job, the name of a user, or nothing.
        detail: More of it, in a few words.
    """

    actor: str
    action: str
    subject: str = ""
    detail: str = ""


def record(store: Store, entry: Entry) -> None:
    """Adds an entry."""
    with store.writing() as connection:
        add_entry(connection, entry, store.clock())


def add_entry(connection: Connection, entry: Entry, now: float) -> None:
    """Adds an entry in the transaction of the act itself."""
    if is_postgresql(connection):
        connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
    previous = connection.execute(select(trail.c.hash).order_by(trail.c.id.desc()).limit(1)).scalar() or _FIRST
    values: dict[str, str | float] = {
        "at": now,
        "actor": entry.actor[:64],
        "action": entry.action[:64],
        "subject": entry.subject[:128],
        "detail": entry.detail,
    }
    connection.execute(insert(trail).values(**values, previous=previous, hash=_digest(previous, values)))


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """Holds an entry as the trail has it.

    Attributes:
        number: Its place in the trail.
        at: When.
        entry: Who did what.
    """

    number: int
    at: float
    entry: Entry


def read_trail(store: Store, most: int) -> tuple[KeptEntry, ...]:
    """Returns the last entries, the newest first."""
    with store.reading() as connection:
        rows = connection.execute(select(trail).order_by(trail.c.id.desc()).limit(most)).all()
    return tuple(KeptEntry(row.id, row.at, Entry(row.actor, row.action, row.subject, row.detail)) for row in rows)


def first_broken(store: Store) -> int | None:
    """Returns the number of the first entry that was altered, or before which one is missing; ``None`` if none is."""
    previous = _FIRST
    with store.reading() as connection:
        for row in connection.execute(select(trail).order_by(trail.c.id)):
            values = {name: getattr(row, name) for name in ("at", "actor", "action", "subject", "detail")}
            if row.previous != previous or row.hash != _digest(previous, values):
                return int(row.id)
            previous = row.hash
    return None


def _digest(previous: str, values: dict[str, str | float]) -> str:
    return hashlib.sha256(json.dumps([previous, values], sort_keys=True).encode()).hexdigest()
