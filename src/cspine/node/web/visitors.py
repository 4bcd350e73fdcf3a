"""Knows who asks: a session, a token, a header of a trusted proxy, or anybody on this machine where no login is required."""

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.requests import HTTPConnection

from cspine.node.addresses import is_within
from cspine.node.config import Config
from cspine.node.passwords import new_token
from cspine.node.store import Role, Store
from cspine.node.store.sessions import user_of_session
from cspine.node.store.users import User, user_by_name, user_by_token

COOKIE = "cspine"
_LOCAL = User("local", Role.ADMIN)
"""Whoever comes where no login is required: only this machine reaches the node then."""


class Permission(StrEnum):
    """Names what a visitor may do."""

    READ = "read"
    GIVE_VERDICT = "give a verdict"
    EXPORT = "export verdicts"
    SEND = "send studies"
    REQUEUE = "queue a study again"
    ADMINISTER = "see the audit trail"


_MAY = {
    Role.READER: {Permission.READ, Permission.GIVE_VERDICT, Permission.EXPORT},
    Role.API: {Permission.READ, Permission.SEND, Permission.REQUEUE},
    Role.ADMIN: set(Permission),
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Says who sent a request.

    Attributes:
        user: Who it is; ``None`` before the login.
        secret: What the cookie of the browser holds; a new one where there was none.
        is_new: Whether the cookie must be set.
        by_token: Whether a program showed a token: it has no cookie that others could make use of.
    """

    user: User | None
    secret: str = field(repr=False)
    is_new: bool = False
    by_token: bool = False

    @property
    def csrf(self) -> str:
        """Returns what a form must hold, so that it is one of ours: no other site can read the cookie that it follows from."""
        return hashlib.sha256(f"csrf {self.secret}".encode()).hexdigest()

    def is_own_form(self, token: str | None) -> bool:
        """Says whether a form holds what it must."""
        return token is not None and hmac.compare_digest(token.encode(), self.csrf.encode())

    def may(self, permission: Permission) -> bool:
        """Says whether the visitor may do something."""
        return self.user is not None and permission in _MAY[self.user.role]


def identify(connection: HTTPConnection, config: Config, store: Store) -> Visitor:
    """Returns who sent a request.

    Args:
        connection: The request.
        config: The configuration, for login and proxies.
        store: Knows users, tokens and sessions.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return Visitor(user_by_token(store, token.strip()), "", by_token=True)
    cookie = connection.cookies.get(COOKIE, "")
    secret = cookie or new_token()
    return Visitor(_user(connection, config, store, cookie), secret, is_new=not cookie)


def _user(connection: HTTPConnection, config: Config, store: Store, cookie: str) -> User | None:
    proxied = _proxied_name(connection, config)
    if proxied is not None:
        return user_by_name(store, proxied)
    if cookie:
        known = user_of_session(store, cookie, config.login.hours)
        if known is not None:
            return known
    return None if config.login.required else _LOCAL


def _proxied_name(connection: HTTPConnection, config: Config) -> str | None:
    """Returns the user whom a trusted proxy names; the header counts only if it comes from that proxy, and only once."""
    if not config.login.header or connection.client is None or not is_within(connection.client.host, config.login.proxies):
        return None
    names = connection.headers.getlist(config.login.header)
    return names[0] if len(names) == 1 else None
