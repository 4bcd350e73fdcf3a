"""Listens for peers: a refused one costs neither a thread nor memory, and a silent one cannot hold a place."""

import logging
import socket
import ssl
import threading
import time
from typing import Any, Protocol

from pynetdicom.transport import ThreadedAssociationServer

from cspine.node.config import TlsSettings

HANDSHAKE_S = 10.0
"""A peer that has not introduced itself within this time is disconnected."""

_TELL_S = 10.0

_log = logging.getLogger(__name__)


class Doorkeeper(Protocol):
    """Says who may connect."""

    def may_connect(self, host: str) -> bool:
        """Says whether anything may come from an address."""
        ...


class GuardedServer(ThreadedAssociationServer):
    """Accepts associations from peers that may connect, so many at once."""

    request_queue_size = 128
    """A flood of connections must not fill the queue of the system before they are refused."""

    def __init__(self, *args: Any, peers: Doorkeeper, most: int, idle_s: float, **more: Any) -> None:
        """Begins to listen.

        Args:
            *args: As for the server of pynetdicom.
            peers: Says who may connect.
            most: So many connections at once.
            idle_s: A connection over which nothing comes for so long is closed.
            **more: As for the server of pynetdicom.
        """
        self._peers, self._most, self._idle_s = peers, most, idle_s
        self._shaking, self._lock = 0, threading.Lock()
        self._refused, self._told_at = 0, -_TELL_S
        super().__init__(*args, **more)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002  # as socketserver wants it
        """Says whether a connection gets a thread."""
        if not self._peers.may_connect(client_address[0]):
            self._tell("from addresses that are in no [[source]]")
            return False
        with self._lock:
            full = self._shaking + len(self.active_associations) >= self._most
            self._shaking += not full
        if full:
            self._tell(f"as all {self._most} of receiver.associations are in use")
        return not full

    def _tell(self, why: str) -> None:
        """Logs refusals, not each of a flood of them."""
        self._refused += 1
        if time.monotonic() - self._told_at >= _TELL_S:
            _log.warning("%d connections were refused, the last %s", self._refused, why)
            self._refused, self._told_at = 0, time.monotonic()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts a connection; a handshake of TLS waits for its thread, so that a silent peer holds nobody up."""
        listening: Any = self.socket
        client, address = listening.accept()
        client.settimeout(self._idle_s)
        if self.ssl_context is not None:
            client = self.ssl_context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shakes hands and begins the association."""
        try:
            if isinstance(request, ssl.SSLSocket):
                request.settimeout(HANDSHAKE_S)
                request.do_handshake()
                request.settimeout(self._idle_s)
            self.finish_request(request, client_address)
        except OSError as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            _log.warning("a connection was refused: TLS failed: %s", reason)
            self.shutdown_request(request)
        finally:
            with self._lock:
                self._shaking -= 1


def server_context(tls: TlsSettings) -> ssl.SSLContext:
    """Returns how this node speaks TLS as a server: 1.2 or later, with certificates of both sides (PS3.15, B.12)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _with_certificates(context, tls)


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """Returns the same as a client; the certificate of the archive must be of its host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _with_certificates(context, tls)


def _with_certificates(context: ssl.SSLContext, tls: TlsSettings) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.authorities)
    return context
