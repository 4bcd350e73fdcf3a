"""Remembers who has logged in, until he logs out or his time is over; only digests of the tokens are kept."""

from sqlalchemy import delete, insert, select

from cspine.node.passwords import digest_token, new_token
from cspine.node.store.database import Store
from cspine.node.store.nouns import Role
from cspine.node.store.tables import sessions, users
from cspine.node.store.users import User

_STEP_S = 300.0
"""A clock that is set back by no more than this ends no session."""


def begin_session(store: Store, name: str, hours: float) -> str:
    """Returns the token of a new session; sessions that are over are removed.

    Args:
        store: The store.
        name: Who has logged in.
        hours: So long it lasts.
    """
    token, now = new_token(), store.clock()
    with store.writing() as connection:
        connection.execute(delete(sessions).where(sessions.c.expires_at < now))
        connection.execute(insert(sessions).values(token=digest_token(token), name=name, expires_at=now + 3600 * hours))
    return token


def user_of_session(store: Store, token: str, hours: float) -> User | None:
    """Returns who logged in with a token.

    Args:
        store: The store.
        token: What the browser shows.
        hours: So long a session lasts. One that would last longer began before the clock was set back, and is over.

    Returns:
        The user; ``None`` where the session is over, or the user may come in no more.
    """
    now = store.clock()
    in_time = sessions.c.expires_at.between(now, now + 3600 * hours + _STEP_S)
    live = (sessions.c.token == digest_token(token)) & in_time & ~users.c.disabled
    found = select(users.c.name, users.c.role).join(sessions, sessions.c.name == users.c.name).where(live)
    with store.reading() as connection:
        row = connection.execute(found).one_or_none()
    return None if row is None else User(row.name, Role(row.role))


def end_session(store: Store, token: str) -> None:
    """Ends a session."""
    with store.writing() as connection:
        connection.execute(delete(sessions).where(sessions.c.token == digest_token(token)))
