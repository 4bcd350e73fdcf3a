"""Knows who may connect: by address before anything is read, by AE title and address before images are taken."""

import socket
from collections.abc import Sequence

from cspine.node.addresses import is_within
from cspine.node.config import Config, Destination, Source

_LOOPBACK = ("127.0.0.0/8", "::1/128")


class Peers:
    """Holds the allow-list of a node; where no source is named, anybody on this machine may send."""

    def __init__(self, config: Config) -> None:
        """Resolves the names of archives, which report what they stored over associations of their own.

        Args:
            config: The configuration.
        """
        self._sources = config.sources
        self._archives = [(one, _addresses(one.address.host)) for one in config.destinations if one.commitment]

    def may_connect(self, host: str) -> bool:
        """Says whether anything may come from an address."""
        return any(is_within(host, networks) for networks in self._networks())

    def source(self, ae_title: str, host: str) -> Source | None:
        """Returns the source that a peer is; ``None`` where it may not send images."""
        if not self._sources:
            return Source(ae_title, _LOOPBACK) if ae_title and is_within(host, _LOOPBACK) else None
        return next((one for one in self._sources if one.ae_title == ae_title and is_within(host, one.addresses)), None)

    def archive(self, ae_title: str, host: str) -> Destination | None:
        """Returns the archive that a peer is; ``None`` where nobody asked it to report."""
        return next((one for one, networks in self._archives if one.ae_title == ae_title and is_within(host, networks)), None)

    def _networks(self) -> Sequence[tuple[str, ...]]:
        own = [one.addresses for one in self._sources] or [_LOOPBACK]
        return [*own, *(networks for _, networks in self._archives)]


def _addresses(host: str) -> tuple[str, ...]:
    """Returns the IP addresses of a host; none where its name is unknown."""
    try:
        return tuple({str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)})
    except OSError:
        return ()
