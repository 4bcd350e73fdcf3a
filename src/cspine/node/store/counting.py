"""Counts events that no table remembers, and what the tables hold, for monitoring."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from cspine.node.store.database import Store
from cspine.node.store.nouns import DeliveryState, State
from cspine.node.store.tables import counts, jobs, outbox


@dataclass(frozen=True, slots=True)
class Counters:
    """Holds what monitoring asks of a node.

    Attributes:
        jobs: Jobs by state.
        parcels: Objects by destination and state.
        oldest_queued_s: Age of the oldest job that waits; ``None`` where none does.
        oldest_parcel_s: The same of objects that are due, by destination.
        events: Counts of events, as leases that expired.
    """

    jobs: dict[State, int]
    parcels: dict[tuple[str, DeliveryState], int]
    oldest_queued_s: float | None
    oldest_parcel_s: dict[str, float]
    events: dict[str, int]


def add_to(connection: Connection, name: str, number: int) -> None:
    """Adds to the count of an event."""
    done = connection.execute(update(counts).where(counts.c.name == name).values(value=counts.c.value + number))
    if done.rowcount == 0:
        connection.execute(insert(counts).values(name=name, value=number))


def count_event(store: Store, name: str, number: int = 1) -> None:
    """Adds to the count of an event, in a transaction of its own."""
    with store.writing() as connection:
        add_to(connection, name, number)


def read_counters(store: Store) -> Counters:
    """Returns all counters at one moment."""
    with store.reading() as connection:
        now = store.clock()
        by_state = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
        key = (outbox.c.destination, outbox.c.state)
        by_destination = connection.execute(select(*key, func.count()).group_by(*key)).all()
        queued = connection.execute(select(func.min(jobs.c.created_at)).where(jobs.c.state == State.QUEUED)).scalar()
        due = select(outbox.c.destination, func.min(outbox.c.created_at)).where(outbox.c.state == DeliveryState.WAITING)
        waiting = connection.execute(due.group_by(outbox.c.destination)).all()
        events = connection.execute(select(counts.c.name, counts.c.value)).all()
    return Counters(
        jobs=dict.fromkeys(State, 0) | {State(state): number for state, number in by_state},
        parcels={(destination, DeliveryState(state)): number for destination, state, number in by_destination},
        oldest_queued_s=None if queued is None else max(0.0, now - queued),
        oldest_parcel_s={destination: max(0.0, now - oldest) for destination, oldest in waiting},
        events={row.name: row.value for row in events},
    )
