"""Keeps the lease of a job alive while it is done."""

import logging
import threading
from types import TracebackType
from typing import Self

from cspine.node.store import Store
from cspine.node.store.nouns import Claim
from cspine.node.store.queue import beat

_log = logging.getLogger(__name__)


class Heartbeat:
    """Extends a lease from a thread while the context is open; it stops once the job is another's or superseded."""

    def __init__(self, store: Store, claimed: Claim, lease_s: float) -> None:
        self._store, self._claimed, self._lease_s = store, claimed, lease_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cspine-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._lease_s / 4):
            try:
                if not beat(self._store, self._claimed, self._lease_s):
                    _log.info("job %d is not ours any more", self._claimed.job_id)
                    return
            except Exception:  # the database may be back before the lease ends
                _log.exception("the lease of job %d cannot be extended", self._claimed.job_id)
