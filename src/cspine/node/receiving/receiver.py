"""Receives images over DICOM: C-STORE and C-ECHO, and what archives report of storage commitment."""

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]  # made when it is imported

from cspine.errors import StudyError, UsageError
from cspine.node.config import Config
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.headers import IMAGES, read_identity
from cspine.node.receiving.peers import Peers
from cspine.node.receiving.server import HANDSHAKE_S, GuardedServer, server_context
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.store import Store
from cspine.node.store.counting import count_event
from cspine.node.store.sending import answered

SUCCESS, OUT_OF_RESOURCES, NO_MATCH, NOT_UNDERSTOOD, UNKNOWN_TRANSACTION = 0x0000, 0xA700, 0xA900, 0xC000, 0x0115
ARCHIVE_ONLY = 0x0124

REFUSED_FULL = "images_refused_for_want_of_room"
"""Name of the count of images that were refused because the disk is nearly full."""

TRANSFER_SYNTAXES = [
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    "1.2.840.10008.1.2.5",
]
"""Plain, JPEG, JPEG-LS, JPEG 2000, high-throughput JPEG 2000 and run lengths; a deflated data set could be of any size."""

_REJECTED_BY_US, _NOT_RECOGNISED, _PERMANENT = 0x01, 0x03, 0x01
_IDLE_S = 60.0

_log = logging.getLogger(__name__)


class Receiver:
    """Keeps images that peers send; :class:`Completeness` learns of them."""

    def __init__(self, config: Config, store: Store, completeness: Completeness) -> None:
        self._config, self._store, self._completeness = config, store, completeness
        self._folders = Folders(config.node.data)
        self._spool, self._peers = Spool(self._folders), Peers(config)
        self._lock, self._received = threading.Lock(), 0

    @property
    def received(self) -> int:
        """Returns how many images were taken since the start."""
        return self._received

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Listens while the context is open.

        Yields:
            The port.

        Raises:
            UsageError: The address cannot be listened at.
        """
        entity = self._entity()
        server = self._server(entity)
        thread = threading.Thread(target=partial(server.serve_forever, 0.1), name="cspine-receiver", daemon=True)
        with _streamed_to(self._folders.incoming):
            thread.start()
            try:
                yield int(server.server_address[1])
            finally:
                for association in server.active_associations:
                    association.abort()
                server.shutdown()
                thread.join()

    def _entity(self) -> ApplicationEntity:
        entity = ApplicationEntity(self._config.node.ae_title)
        entity.maximum_pdu_size = self._config.receiver.pdu_bytes
        entity.maximum_associations = self._config.receiver.associations
        entity.require_called_aet = True
        entity.acse_timeout, entity.network_timeout, entity.dimse_timeout = HANDSHAKE_S, _IDLE_S, _IDLE_S
        entity.add_supported_context(Verification)
        for sop_class in sorted(IMAGES):
            entity.add_supported_context(sop_class, TRANSFER_SYNTAXES)
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        return entity

    def _server(self, entity: ApplicationEntity) -> GuardedServer:
        address, tls = self._config.node.dicom, self._config.tls
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_EVENT_REPORT, self._on_report),
            (evt.EVT_RELEASED, self._on_released),
            (evt.EVT_ABORTED, self._on_lost),
            (evt.EVT_CONN_CLOSE, self._on_closed),
        ]
        made = partial(GuardedServer, peers=self._peers, most=self._config.receiver.associations, idle_s=_IDLE_S)
        try:
            server = entity.make_server(
                (address.host, address.port),
                ssl_context=None if tls is None else server_context(tls),
                evt_handlers=handlers,
                server_class=made,  # type: ignore[arg-type]  # it is only called
            )
        except OSError as error:
            raise UsageError(f"node.dicom = {address} cannot be listened at: {error.strerror or error}. Choose another.") from error
        entity._servers.append(server)
        return cast(GuardedServer, server)

    def _on_requested(self, event: evt.Event) -> None:
        """Rejects a peer whose AE title is not allowed from its address, before it can send anything."""
        association: Any = event.assoc
        title, host = association.requestor.primitive.calling_ae_title.strip(), association.requestor.address
        if self._peers.source(title, host) is None and self._peers.archive(title, host) is None:
            _log.warning("an association was rejected: its AE title and address are in no [[source]]")
            association.acse.send_reject(_PERMANENT, _REJECTED_BY_US, _NOT_RECOGNISED)
            association.kill()

    def _on_store(self, event: evt.Event) -> int:
        """Keeps an image; the answer goes out when it is on the disk under its name."""
        association: Any = event.assoc
        source = self._peers.source(association.requestor.ae_title.strip(), association.requestor.address)
        if source is None:  # an archive that only reports
            return ARCHIVE_ONLY
        if self._folders.free_gb() < self._config.keep.free_gb:
            self._tell_full()
            return OUT_OF_RESOURCES
        try:
            identity = read_identity(event.dataset_path)
        except StudyError as error:
            _log.warning("an image was refused: %s", error)
            return NOT_UNDERSTOOD
        request: Any = event.request
        if (identity.sop_uid, identity.sop_class) != (request.AffectedSOPInstanceUID, request.AffectedSOPClassUID):
            return NO_MATCH
        # before the image is there, so that no moment exists at which it is and nobody follows its series
        self._completeness.came(identity.series_uid, association, source.ae_title, source.site)
        try:
            self._spool.note_source(identity.series_uid, source.ae_title, source.site)
            self._spool.put(event.dataset_path, identity.series_uid, identity.sop_uid)
        except OSError as error:
            _log.error("an image cannot be kept: %s", error.strerror)  # the place says enough
            return OUT_OF_RESOURCES
        with self._lock:
            self._received += 1
        return SUCCESS

    def _tell_full(self) -> None:
        _log.error("images are refused: less than keep.free_gb = %g GB are free", self._config.keep.free_gb)
        try:
            count_event(self._store, REFUSED_FULL)
        except Exception:  # the database may be on the same full disk
            _log.exception("the refusal cannot be counted")

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        """Takes what an archive says of the objects that it was asked to confirm."""
        return take_report(self._store, event), None

    def _on_released(self, event: evt.Event) -> None:
        self._completeness.ended(event.assoc, released=True)

    def _on_lost(self, event: evt.Event) -> None:
        self._completeness.ended(event.assoc, released=False)

    def _on_closed(self, event: evt.Event) -> None:
        """Frees the place of a peer that leaves before it has introduced itself: its thread would wait for that in vain."""
        self._completeness.ended(event.assoc, released=False)
        if event.assoc.requestor.primitive is None:
            event.assoc.dul.to_user_queue.put(None)


@contextmanager
def _streamed_to(folder: Path) -> Iterator[None]:
    """Has what is received go to a folder as it comes, whatever its size, in all of this process; it is renamed from there."""
    before = _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir
    _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = True, str(folder)
    try:
        yield
    finally:
        _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = before


def take_report(store: Store, event: evt.Event) -> int:
    """Records the report of an archive about storage commitment (PS3.4, J.3.3), and returns the status of the answer."""
    said = event.event_information
    kept, lost = (
        [str(item.ReferencedSOPInstanceUID) for item in said.get(name, ())]
        for name in ("ReferencedSOPSequence", "FailedSOPSequence")
    )
    number = answered(store, str(said.get("TransactionUID", "")), kept, lost)
    _log.info("an archive reported on %d objects, of which it does not have %d", number, len(lost))
    return SUCCESS if number else UNKNOWN_TRANSACTION
