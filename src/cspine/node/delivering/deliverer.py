"""Delivers what is due, one thread for each archive, so that a dead or slow one holds up no other."""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom.association import Association

from cspine.node.config import Config, Destination, Kind
from cspine.node.delivering.archive import Archive, ArchiveError
from cspine.node.delivering.replacing import name_predecessor
from cspine.node.names import is_dead_here, process_name
from cspine.node.receiving.spool import Folders
from cspine.node.store import Store
from cspine.node.store.nouns import Sending
from cspine.node.store.sending import (
    asked,
    claim_parcels,
    delivered,
    free_owner,
    give_back,
    heal_due,
    hold,
    owners,
    refused,
    unconfirmed,
)

_ROLE = "deliverer"
_IDLE_S, _TIDY_S = 0.5, 60.0
_COMMITMENT_PAUSE_S, _COMMITMENT_AGAIN_S = 5.0, 900.0
_MOST_QUESTIONS = 200

_log = logging.getLogger(__name__)


class Deliverer:
    """Sends results to archives until each has them."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store
        self._owner = process_name(_ROLE)

    def work(self, stop: threading.Event) -> None:
        """Delivers until it shall stop."""
        threads = [
            threading.Thread(target=self._serve, args=(one, stop), name=f"cspine-deliver-{one.name}", daemon=True)
            for one in self._config.destinations
        ]
        self._tidy()
        for thread in threads:
            thread.start()
        while not stop.wait(_TIDY_S):
            self._tidy()
        for thread in threads:
            thread.join(2 * self._config.delivery.timeout_s)

    def _tidy(self) -> None:
        """Frees what deliverers of this machine had in hand when they ended, and what a changed clock holds."""
        try:
            for owner in owners(self._store):
                if is_dead_here(owner, _ROLE):
                    free_owner(self._store, owner)
            heal_due(self._store, max(self._config.delivery.longest_retry_s, self._config.delivery.settle_s))
        except Exception:  # the database may be back next time
            _log.exception("the outbox cannot be tidied")

    def _serve(self, destination: Destination, stop: threading.Event) -> None:
        asked_at = -_COMMITMENT_PAUSE_S
        while not stop.is_set():
            try:
                busy = self.step(destination)
                if destination.commitment and time.monotonic() - asked_at >= _COMMITMENT_PAUSE_S:
                    asked_at = time.monotonic()
                    self.ask(destination)
            except Exception:  # a fault of ours or of the database must not end the thread
                _log.exception("archive %s cannot be served", destination.name)
                busy = False
            if not busy:
                stop.wait(_IDLE_S)

    def step(self, destination: Destination) -> bool:
        """Sends what is due for an archive over one association.

        Returns:
            Whether anything was.
        """
        sendings = claim_parcels(self._store, destination.name, self._owner, self._lease_s, self._config.delivery.batch)
        if not sendings:
            return False
        objects = [(sending, made) for sending in sendings if (made := self._object(sending)) is not None]
        archive = Archive(self._config, destination)
        contexts = [(sending.parcel.sop_class, syntax) for sending, made in objects for syntax in _syntaxes(made)]
        try:
            if objects:
                with archive.connected(contexts) as association:
                    self._send(archive, association, objects)
        except ArchiveError as error:
            _log.warning("archive %s: %d objects wait. %s", destination.name, len(objects), error)
            for sending, _ in objects:
                self._refused(sending, str(error))
        return True

    def ask(self, destination: Destination) -> None:
        """Asks an archive to confirm what it took."""
        objects = unconfirmed(self._store, destination.name, _COMMITMENT_AGAIN_S, _MOST_QUESTIONS)
        if not objects:
            return
        transaction_uid = str(generate_uid(prefix=None))
        asked(self._store, destination.name, [uid for _, uid in objects], transaction_uid)
        try:
            Archive(self._config, destination).ask_to_confirm(self._store, objects, transaction_uid)
        except ArchiveError as error:
            _log.warning("archive %s: storage commitment of %d objects: %s", destination.name, len(objects), error)

    @property
    def _lease_s(self) -> float:
        return 2 * self._config.delivery.timeout_s + 10.0

    def _send(self, archive: Archive, association: Association, objects: Sequence[tuple[Sending, Dataset]]) -> None:
        for number, (sending, made) in enumerate(objects):
            left = [one for one, _ in objects[number:]]
            if not association.is_established:
                give_back(self._store, left, self._owner)
                return
            hold(self._store, left, self._owner, self._lease_s)
            try:
                archive.send(association, made)
            except ArchiveError as error:
                _log.warning("archive %s: object %d waits. %s", archive.destination.name, sending.parcel_id, error)
                self._refused(sending, str(error))
                continue
            delivered(self._store, sending, self._owner)
            _log.info("archive %s has object %d", archive.destination.name, sending.parcel_id)

    def _refused(self, sending: Sending, reason: str) -> None:
        settings = self._config.delivery
        pause_s = min(settings.first_retry_s * 2 ** min(sending.attempt - 1, 30), settings.longest_retry_s)
        refused(self._store, sending, self._owner, pause_s, reason)

    def _object(self, sending: Sending) -> Dataset | None:
        """Returns an object as it is sent; ``None`` where its file cannot be read, which is logged and tried again."""
        results = Folders(self._config.node.data).results
        try:
            made = dcmread(results / sending.key / sending.parcel.file)
            if sending.parcel.kind == Kind.SR and sending.replaces is not None:
                _name(made, sending, results)
        except Exception as error:  # pydicom raises nearly anything over damaged bytes
            _log.error("object %d cannot be read: %s", sending.parcel_id, type(error).__name__)  # no text of an image
            self._refused(sending, "Its file cannot be read. Queue the study again.")
            return None
        return made


def _name(made: Dataset, sending: Sending, results: Path) -> None:
    """Has a report name the one before, as long as that is still here."""
    before = sending.replaces
    if before is None or not (results / before.key / before.file).is_file():
        return
    header = dcmread(results / before.key / before.file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    name_predecessor(made, before.sop_uid, str(header.SeriesInstanceUID))


def _syntaxes(made: Dataset) -> tuple[UID, ...]:
    """Returns the transfer syntaxes that an object is offered in: its own, and the plain ones where it is plain."""
    own = UID(made.file_meta.TransferSyntaxUID)
    return (own,) if own.is_compressed else (own, ExplicitVRLittleEndian, ImplicitVRLittleEndian)
