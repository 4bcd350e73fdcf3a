"""Says whether anything was written to a database, so that what was read before may be kept."""

import sqlite3
import threading

from sqlalchemy import Engine, text

_BUSY_S = 30.0


class StoreWatch:
    """Watches the database of one store; threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def mark(self) -> str:
        """Returns a mark of the present moment: where two are the same, nothing was written between them.

        They may differ although nothing was. Read it before what it shall stand for: what is written between is then seen later,
        not never. In SQLite it is the number that a connection of its own counts commits of others by; in PostgreSQL the list of
        transactions whose writing is visible. Moments of changes would not do: a transaction may end after a later one, and a
        clock may be set back.
        """
        if self._engine.dialect.name == "postgresql":
            with self._engine.connect() as connection, connection.begin():
                return str(connection.execute(text("SELECT txid_current_snapshot()")).scalar_one())
        with self._lock:
            if self._connection is None:
                path = str(self._engine.url.database)
                self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            return str(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Closes what was opened."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
