"""Talks to an archive: sends objects, asks it to confirm them, asks whether it is there."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]  # made when it is imported

from cspine.errors import InputError, one_line
from cspine.node.config import Config, Destination
from cspine.node.receiving.receiver import take_report
from cspine.node.receiving.server import client_context
from cspine.node.store import Store

_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
_ASK_FOR_COMMITMENT = 1
_REPORT_S = 1.0
_SUCCESS = 0x0000
_CONNECT_S = 10.0

_log = logging.getLogger(__name__)


class ArchiveError(InputError):
    """An archive cannot be reached, or does not take an object; the message says so in a few words."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Holds what is needed to talk to an archive.

    Attributes:
        config: The configuration of the node.
        destination: Which archive.
    """

    config: Config
    destination: Destination

    @contextmanager
    def connected(self, contexts: Sequence[tuple[str, str]], store: Store | None = None) -> Iterator[Association]:
        """Opens an association.

        Args:
            contexts: SOP Class and transfer syntax of what will be sent.
            store: Learns of reports that come over the same association.

        Raises:
            ArchiveError: The archive cannot be reached, or refuses.
        """
        entity = ApplicationEntity(self.config.node.ae_title)
        timeout_s = self.config.delivery.timeout_s
        entity.connection_timeout = min(_CONNECT_S, timeout_s)
        entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = timeout_s, timeout_s, timeout_s
        handlers: list[Any] = []
        if store is not None:
            handlers.append((evt.EVT_N_EVENT_REPORT, _reporter(store)))
        to, tls = self.destination, self.config.tls
        arguments = (client_context(tls), to.address.host) if to.tls and tls is not None else None
        wanted = [build_context(sop_class, syntax) for sop_class, syntax in dict.fromkeys(contexts)]
        association = entity.associate(
            to.address.host, to.address.port, wanted, ae_title=to.ae_title, evt_handlers=handlers, tls_args=arguments
        )
        if not association.is_established:
            raise ArchiveError(_refusal(association))
        keep_answers(association)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def echo(self) -> None:
        """Asks whether the archive is there (C-ECHO).

        Raises:
            ArchiveError: It is not.
        """
        with self.connected([(Verification, ImplicitVRLittleEndian)]) as association:
            _check(association.send_c_echo())

    def send(self, association: Association, made: Dataset) -> None:
        """Sends an object.

        Raises:
            ArchiveError: It was not taken.
        """
        try:
            _check(association.send_c_store(made))
        except (ValueError, RuntimeError, AttributeError) as error:
            raise ArchiveError(one_line(f"It does not take such objects: {error}", 300)) from error

    def ask_to_confirm(self, store: Store, objects: Sequence[tuple[str, str]], transaction_uid: str) -> None:
        """Asks the archive to confirm that it keeps objects; the report comes later, over whatever association it likes.

        Args:
            store: Learns of the report, where it comes at once.
            objects: SOP Class and Instance UIDs.
            transaction_uid: By which the report names this question.

        Raises:
            ArchiveError: It does not take the question.
        """
        question = Dataset()
        question.TransactionUID = transaction_uid
        question.ReferencedSOPSequence = []
        for sop_class, sop_uid in objects:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_uid
            question.ReferencedSOPSequence.append(item)
        contexts = [(StorageCommitmentPushModel, syntax) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)]
        with self.connected(contexts, store) as association:
            try:
                answer, _ = association.send_n_action(
                    question, _ASK_FOR_COMMITMENT, StorageCommitmentPushModel, _COMMITMENT_INSTANCE
                )
            except (ValueError, RuntimeError) as error:
                raise ArchiveError("It does not offer storage commitment.") from error
            _check(answer)
            time.sleep(_REPORT_S)  # some archives report over the same association, at once


def keep_answers(association: Association) -> None:
    """Has no answer be lost to a race in pynetdicom 3.

    A thread of the association looks for requests of the peer. It is paused while we wait for an answer, yet where the processors
    are busy it may be about to look when it is paused, takes the answer, and drops it as no request. Here it puts it back.

    Args:
        association: One that we asked for.
    """
    serve = association._serve_request

    def serve_or_put_back(message: Any, context_id: int) -> None:
        if message.is_valid_response and not association._sent_release:
            association.dimse.msg_queue.put((context_id, message))
        else:
            serve(message, context_id)

    association._serve_request = serve_or_put_back  # type: ignore[assignment,method-assign]


def _reporter(store: Store) -> Callable[[evt.Event], tuple[int, None]]:
    def report(event: evt.Event) -> tuple[int, None]:
        return take_report(store, event), None

    return report


def _check(answer: Dataset) -> None:
    """Checks the answer of an archive; warnings, 0xB000 and its kin, mean that it has the object.

    Raises:
        ArchiveError: It refused, or did not answer.
    """
    status = answer.get("Status") if answer else None
    if status is None:
        raise ArchiveError("It did not answer in time, or closed the connection.")
    if status != _SUCCESS and not 0xB000 <= status <= 0xBFFF:
        comment = one_line(str(answer.get("ErrorComment", "")), 100)
        raise ArchiveError(f"It answered {status:04X}{f': {comment}' if comment else ''}.")


def _refusal(association: Association) -> str:
    if association.is_rejected:
        primitive: Any = association.acceptor.primitive
        return one_line(f"It rejected the association: {getattr(primitive, 'reason_str', 'no reason given')}.")
    if association.is_aborted:
        return "It cannot be reached, or aborted the association."
    return "It accepted none of the presentation contexts."
