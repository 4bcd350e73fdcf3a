"""Runs one role of a node in this process: receiver, worker, deliverer or web."""

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module

from cspine.errors import OutputError
from cspine.node.config import Config
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.spool import Folders, Spool, digest_of
from cspine.node.store import Store, open_store
from cspine.node.store.arrivals import is_queued, while_nothing_is_queued, withdraw
from cspine.node.store.queue import open_jobs
from cspine.storage.files import LockedError, locked

_POLL_S, _RETENTION_S, _WATCH_S, _ABANDONED_S = 0.2, 60.0, 1.0, 3600.0

_log = logging.getLogger(__name__)


class RoleName(StrEnum):
    """Names what a process of a node does."""

    RECEIVER = "receiver"
    WORKER = "worker"
    DELIVERER = "deliverer"
    WEB = "web"


def run_role(role: RoleName, config: Config, stop: threading.Event) -> None:
    """Does one role until it shall stop.

    Raises:
        InputError: It cannot be done; the message says why.
    """
    folders = Folders(config.node.data)
    try:
        folders.make()
    except OSError as error:
        raise OutputError(f"node.data needs a folder. {folders.data} cannot be made: {error.strerror}. Choose another.") from error
    store = open_store(config.node.database, config.node.data)
    try:
        _ROLES[role](config, store, stop)
    finally:
        store.close()


def receive(config: Config, store: Store, stop: threading.Event) -> None:
    """Receives until it shall stop; only one process does so for a folder.

    Raises:
        OutputError: Another one is at it.
        UsageError: The address cannot be listened at.
    """
    from cspine.node.receiving.receiver import Receiver

    try:
        with locked(config.node.data / ".receiver.lock"):
            desk = _Desk(config, store)
            desk.take_up()
            with Receiver(config, store, desk.completeness).listening() as port:
                _log.info("receiving at port %d", port)
                while not stop.wait(_POLL_S):
                    desk.step()
    except LockedError as error:
        raise OutputError(f"Another receiver uses {config.node.data}. Wait until it ends, or choose another node.data.") from error


class _Desk:
    """Queues what has come in completely, and does the housekeeping between."""

    def __init__(self, config: Config, store: Store) -> None:
        from cspine.node.receiving.intake import Intake
        from cspine.node.receiving.watching import FolderWatch

        self.completeness = Completeness(config.receiver.quiet_s, config.receiver.aborted_quiet_s)
        self._config, self._store, self._folders = config, store, Folders(config.node.data)
        self._spool, self._intake = Spool(self._folders), Intake(config, store)
        self._watches = [
            FolderWatch(folder, f"folder {number}", self._spool, self.completeness, self._has_room)
            for number, folder in enumerate(config.folders, 1)
        ]
        self._next: dict[Callable[[], None], float] = {self._remove_old: 0.0, self._watch: 0.0}

    def take_up(self) -> None:
        """Clears what an earlier receiver left half done, and follows what it had received and not queued."""
        with while_nothing_is_queued(self._store) as known:
            self._spool.clear(known)
        for series_uid in self._spool.series():
            images = self._spool.images(series_uid)
            if images and not is_queued(self._store, series_uid, digest_of(images)):
                self.completeness.found(series_uid, *self._spool.source(series_uid))

    def step(self) -> None:
        """Queues what is complete; does what is due."""
        self.completeness.ended_if(_is_dead_thread)
        for series_uid, source, site in self.completeness.take():
            try:
                self._intake.queue(series_uid, source, site)
            except Exception:  # the disk or the database may be back in a moment
                _log.exception("a series cannot be queued and is tried again")
                self.completeness.put_back(series_uid, source, site)
        self._begin_early()
        for act, due in self._next.items():
            if time.monotonic() >= due:
                try:
                    act()
                except Exception:  # as above
                    _log.exception("housekeeping failed and is tried again")
                self._next[act] = time.monotonic() + (_WATCH_S if act == self._watch else _RETENTION_S)

    def _begin_early(self) -> None:
        """Has an idle node begin with a series during the quiet time after it, and stop when further images come."""
        for series_uid in self.completeness.take_overtaken():
            try:
                withdraw(self._store, series_uid)
            except Exception:  # its next version supersedes it
                _log.exception("work on a series to which images come cannot be withdrawn")
        for series_uid, source, site, left_s in self.completeness.take_early():
            try:
                if not open_jobs(self._store):
                    self._intake.queue(series_uid, source, site, hold_s=left_s)
            except Exception:  # it is queued after the quiet time all the same
                _log.exception("work on a series cannot begin during the quiet time")

    def _has_room(self) -> bool:
        return self._folders.free_gb() >= self._config.keep.free_gb

    def _watch(self) -> None:
        for watch in self._watches:
            watch.step()

    def _remove_old(self) -> None:
        from cspine.node.retention import remove_old

        remove_old(self._store, self._folders, self._config.keep, self.completeness)
        self._spool.clear_incoming(_ABANDONED_S)


def _is_dead_thread(carrier: object) -> bool:
    """Says whether an association, which is a thread, has ended."""
    return isinstance(carrier, threading.Thread) and not carrier.is_alive()


def _work(config: Config, store: Store, stop: threading.Event) -> None:
    from cspine.node.working.worker import NodeWorker

    NodeWorker(config, store).work(stop)


def _deliver(config: Config, store: Store, stop: threading.Event) -> None:
    from cspine.node.delivering.deliverer import Deliverer

    Deliverer(config, store).work(stop)


def _serve_pages(config: Config, store: Store, stop: threading.Event) -> None:
    import_module("cspine.node.web.app").serve(config, store, stop)


_ROLES: dict[RoleName, Callable[[Config, Store, threading.Event], None]] = {
    RoleName.RECEIVER: receive,
    RoleName.WORKER: _work,
    RoleName.DELIVERER: _deliver,
    RoleName.WEB: _serve_pages,
}
