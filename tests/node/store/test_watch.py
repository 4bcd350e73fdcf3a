"""Holds that what was read is kept for as long as nothing was written, and never for longer."""

from pathlib import Path

from sqlalchemy import select, update

from cspine.node.store import Store, open_store
from cspine.node.store.tables import jobs
from tests.node.nodes import until
from tests.node.series import arrive


def test_a_mark_stays_while_nothing_is_written(store: Store) -> None:
    arrive(store)

    def stays() -> bool:  # PostgreSQL may clean up after itself between the two
        before = store.watch.mark()
        with store.reading() as connection:
            connection.execute(select(jobs)).all()
        with store.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == -1).values(images=1))
        return store.watch.mark() == before

    until(stays, "the same mark")


def test_a_mark_changes_with_all_that_is_written_here_or_elsewhere(store: Store, database: str, tmp_path: Path) -> None:
    marks = [store.watch.mark()]
    arrive(store)
    marks.append(store.watch.mark())
    other = open_store(database, tmp_path / "node")
    arrive(other, "2")
    other.close()
    marks.append(store.watch.mark())
    with store.writing() as connection:
        connection.execute(update(jobs).values(attempts=1))  # at no later moment
    marks.append(store.watch.mark())

    assert len(set(marks)) == 4


def test_what_a_transaction_wrote_that_ends_after_a_later_one_is_seen(store: Store, database: str) -> None:
    arrive(store)
    if database == "sqlite":  # there one ends before the next begins; a mark changes with the end
        with store.writing() as connection:
            connection.execute(update(jobs).values(attempts=1))
            during = store.watch.mark()
        assert store.watch.mark() != during
        return
    with store.writing() as connection:
        connection.execute(update(jobs).values(attempts=1))
        arrive(store, "2")
        after_the_later = store.watch.mark()

    assert store.watch.mark() != after_the_later
