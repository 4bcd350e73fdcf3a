"""Knows who may use the pages and the interface for programs."""

import re
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from cspine.errors import UsageError, one_line
from cspine.node.passwords import digest_password, digest_token, is_password, new_token
from cspine.node.store.database import Store
from cspine.node.store.nouns import Role
from cspine.node.store.tables import sessions, users

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_SHORTEST = 12


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who came in.

    Attributes:
        name: How the audit trail and verdicts call him.
        role: What he may do.
    """

    name: str
    role: Role


def put_user(store: Store, name: str, role: Role, password: str | None) -> None:
    """Adds a user or changes one.

    Args:
        store: The store.
        name: His name.
        role: What he may do.
        password: How he comes in; ``None`` where a proxy vouches for him.

    Raises:
        UsageError: The name or the password is not fit.
    """
    _check_name(name)
    if password is not None and len(password) < _SHORTEST:
        raise UsageError(f"A password needs at least {_SHORTEST} characters. Received: {len(password)}. Choose a longer one.")
    digest = None if password is None else digest_password(password)
    _replace(store, name, role, {"password": digest})


def put_token(store: Store, name: str, role: Role = Role.API) -> str:
    """Adds a token for a program, or replaces the one of that name.

    Returns:
        The token, which is not kept and cannot be shown again.

    Raises:
        UsageError: The name is not fit.
    """
    _check_name(name)
    token = new_token()
    _replace(store, name, role, {"token": digest_token(token)})
    return token


def user_by_password(store: Store, name: str, password: str) -> User | None:
    """Returns the user, if the password is his; it takes as long if there is no such user."""
    with store.reading() as connection:
        row = connection.execute(select(users).where(users.c.name == name, ~users.c.disabled)).one_or_none()
    if not is_password(password, None if row is None else row.password) or row is None:
        return None
    return User(row.name, Role(row.role))


def user_by_token(store: Store, token: str) -> User | None:
    """Returns the user whose token it is."""
    return _user(store, users.c.token == digest_token(token))


def user_by_name(store: Store, name: str) -> User | None:
    """Returns the user of a name, for whom a proxy or an earlier login vouches."""
    return _user(store, users.c.name == name)


def disable_user(store: Store, name: str) -> bool:
    """Lets a user in no more; says whether there was one."""
    with store.writing() as connection:
        return connection.execute(update(users).where(users.c.name == name).values(disabled=True)).rowcount == 1


def all_users(store: Store) -> tuple[User, ...]:
    """Returns who may come in."""
    with store.reading() as connection:
        rows = connection.execute(select(users).where(~users.c.disabled).order_by(users.c.name)).all()
    return tuple(User(row.name, Role(row.role)) for row in rows)


def _user(store: Store, which: "object") -> User | None:
    with store.reading() as connection:
        row = connection.execute(select(users).where(which, ~users.c.disabled)).one_or_none()  # type: ignore[arg-type]
    return None if row is None else User(row.name, Role(row.role))


def _replace(store: Store, name: str, role: Role, secret: dict[str, str | None]) -> None:
    with store.writing() as connection:
        connection.execute(delete(sessions).where(sessions.c.name == name))  # who knew the old password is out
        connection.execute(delete(users).where(users.c.name == name))
        connection.execute(insert(users).values(name=name, role=role, created_at=store.clock(), disabled=False, **secret))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"A user needs a name of up to 64 letters, digits and _ . @ -. Received: {one_line(name, 60)}. Correct it."
        )
