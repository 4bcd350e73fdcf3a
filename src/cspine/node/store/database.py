"""Opens the store: SQLite beside the data or PostgreSQL by URL, with the same code for both."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from cspine.errors import OutputError, UsageError
from cspine.node.store.tables import SCHEMA_VERSION, facts, metadata
from cspine.node.store.watch import StoreWatch

SQLITE = "node.sqlite"
_BUSY_S = 30.0
_IMMEDIATE = "begins_immediate"
_SETTING_UP = 7_201_124
"""Number of the lock that processes hold in PostgreSQL while they make the tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """Gives transactions on the database of a node; threads and processes may share it.

    Attributes:
        engine: The database.
        clock: Says what time it is, in seconds since 1970.
        watch: Says whether anything was written.
    """

    engine: Engine
    clock: Callable[[], float] = time.time
    watch: StoreWatch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watch", StoreWatch(self.engine))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Gives a transaction that reads; writers go on meanwhile."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Gives a transaction that writes; it is kept whole when the block ends, and not at all if that raises."""
        with self.engine.connect().execution_options(**{_IMMEDIATE: True}) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Closes all connections."""
        self.watch.close()
        self.engine.dispose()


def open_store(database: str, data: Path, clock: Callable[[], float] = time.time) -> Store:
    """Opens the store of a node; tables that are missing are made.

    Args:
        database: ``sqlite``, or a URL of PostgreSQL.
        data: The folder of the node.
        clock: Says what time it is.

    Raises:
        UsageError: The database cannot be reached, or another version of cspine made its tables.
        OutputError: The folder cannot be written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"node.data needs a folder. {data} cannot be made: {error.strerror}. Choose another one.") from error
    engine = _sqlite(data / SQLITE) if database == "sqlite" else _postgresql(database)
    store = Store(engine, clock)
    try:
        _set_up(store)
    except UsageError:
        store.close()
        raise
    except SQLAlchemyError as error:
        store.close()
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        shown = engine.url.render_as_string(hide_password=True)
        raise UsageError(f"node.database needs a database that answers. {shown} says: {reason:.200}. Correct it.") from None
    return store


def is_postgresql(connection: Connection) -> bool:
    """Says whether a connection leads to PostgreSQL."""
    return connection.dialect.name == "postgresql"


def _sqlite(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": _BUSY_S}, pool_size=5, max_overflow=20
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgresql(database: str) -> Engine:
    try:
        url = make_url(database).set(drivername="postgresql+psycopg")
    except ArgumentError:
        raise UsageError("node.database needs sqlite or postgresql://user@host/name. Received something else.") from None
    return create_engine(url, pool_size=5, max_overflow=20, pool_pre_ping=True, connect_args={"connect_timeout": 10})


def _set_up(store: Store) -> None:
    """Makes the tables in one transaction, whoever else starts at the same time."""
    with store.writing() as connection:
        if is_postgresql(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _SETTING_UP})
        metadata.create_all(connection)
        found = connection.execute(select(facts.c.value).where(facts.c.name == "schema_version")).scalar()
        if found is None:
            connection.execute(insert(facts).values(name="schema_version", value=str(SCHEMA_VERSION)))
        elif found != str(SCHEMA_VERSION):
            raise UsageError(
                f"The database of the node must have layout {SCHEMA_VERSION}. It has {found}, of another cspine. Use that version."
            )
