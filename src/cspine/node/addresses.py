"""Describes where something listens: a host and a port, and whether others than this machine reach it."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from cspine.errors import UsageError, one_line

_HOST_AND_PORT = re.compile(r"(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_.-]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port.

    Attributes:
        host: A name or an IP address.
        port: 0..65535; 0 lets the system choose one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, key: str) -> Self:
        """Reads ``host:port``, an IPv6 address in brackets.

        Args:
            text: The text.
            key: Which key of the configuration it comes from, for the message.

        Raises:
            UsageError: It is something else.
        """
        found = _HOST_AND_PORT.fullmatch(text)
        if found is None or int(found["port"]) > 65535:
            raise UsageError(f"{key} needs host:port, as 127.0.0.1:11112. Received: {one_line(text, 60)}")
        return cls(found["six"] or found["host"], int(found["port"]))

    @property
    def is_loopback(self) -> bool:
        """Says whether only this machine reaches it; a name other than ``localhost`` may lead anywhere."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_network(text: str, key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Reads an IP address or a network, as ``10.1.0.0/16``.

    Raises:
        UsageError: It is something else.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise UsageError(
            f"{key} needs IP addresses or networks, as 10.1.0.0/16. Received: {one_line(text, 60)}. Correct it."
        ) from None


def is_within(host: str, networks: tuple[str, ...]) -> bool:
    """Says whether an IP address lies in one of the networks; an IPv4 address that is written as IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ipaddress.ip_network(network) for network in networks)
