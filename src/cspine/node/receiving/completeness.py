"""Knows when a series is complete: DICOM has no end of a study, so that a pause has to show it."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from cspine.node.store.queue import LONGEST_HOLD_S

_CALM_SHARE, _LEAST_HOLD_S = 0.2, 0.5
"""A series is most likely complete after this share of the quiet time; work is not begun for what is left of less seconds."""


@dataclass(slots=True)
class _Pending:
    source: str
    site: str
    carriers: set[Hashable] = field(default_factory=set)
    since: float = 0.0
    quiet_s: float = 0.0
    released: bool = False
    was_early: bool = False
    is_overtaken: bool = False


class Completeness:
    """Follows series while they come in; threads may share it. Time is monotonic, so that no change of the clock matters."""

    def __init__(self, quiet_s: float, aborted_quiet_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins with no series.

        Args:
            quiet_s: A series is complete so long after its last association was released.
            aborted_quiet_s: The same where it was aborted.
            clock: Says what time it is.
        """
        self._quiet_s, self._aborted_quiet_s, self._clock = quiet_s, aborted_quiet_s, clock
        self._pending: dict[str, _Pending] = {}
        self._lock = threading.Lock()

    def came(self, series_uid: str, carrier: Hashable, source: str, site: str) -> None:
        """Notes an image; its series is not complete while the association is open.

        Args:
            series_uid: Of which series.
            carrier: Over which association.
            source: Who sent it.
            site: What people call the place.
        """
        with self._lock:
            pending = self._pending.setdefault(series_uid, _Pending(source, site))
            pending.carriers.add(carrier)
            pending.since = self._clock()
            pending.is_overtaken = pending.was_early

    def ended(self, carrier: Hashable, *, released: bool) -> None:
        """Notes that an association is closed, as both sides wanted or not."""
        with self._lock:
            for pending in self._pending.values():
                if carrier in pending.carriers:
                    pending.carriers.remove(carrier)
                    pending.since = self._clock()
                    pending.quiet_s, pending.released = self._quiet_s if released else self._aborted_quiet_s, released

    def ended_if(self, is_gone: Callable[[Hashable], bool]) -> None:
        """Notes that associations are closed which ended without a word, as when the disk was full in the midst of an image.

        Args:
            is_gone: Says of an association whether it is.
        """
        with self._lock:
            gone = {carrier for pending in self._pending.values() for carrier in pending.carriers if is_gone(carrier)}
        for carrier in gone:
            self.ended(carrier, released=False)

    def found(self, series_uid: str, source: str, site: str) -> None:
        """Notes a series that was there when the receiver began: nobody knows whether its association was released."""
        with self._lock:
            self._pending.setdefault(series_uid, _Pending(source, site, since=self._clock(), quiet_s=self._aborted_quiet_s))

    def take(self) -> list[tuple[str, str, str]]:
        """Returns the series that are complete, each with its source and site, and follows them no more."""
        with self._lock:
            now = self._clock()
            complete = [uid for uid, one in self._pending.items() if not one.carriers and now - one.since >= one.quiet_s]
            taken = [(uid, self._pending.pop(uid)) for uid in complete]
            return [(uid, one.source, one.site) for uid, one in taken]

    def take_early(self) -> list[tuple[str, str, str, float]]:
        """Returns the series that are most likely complete, each once, with its source, its site and the quiet seconds left.

        They are followed until they are complete. A series whose association was aborted is not among them.
        """
        with self._lock:
            now, early = self._clock(), []
            for uid, one in self._pending.items():
                left = one.quiet_s - (now - one.since)
                is_calm = left <= min(LONGEST_HOLD_S, (1 - _CALM_SHARE) * one.quiet_s)
                if one.released and not one.carriers and not one.was_early and is_calm and left >= _LEAST_HOLD_S:
                    one.was_early = True
                    early.append((uid, one.source, one.site, left))
            return early

    def take_overtaken(self) -> list[str]:
        """Returns the series of :meth:`take_early` to which images came since, each once for such images."""
        with self._lock:
            overtaken = [uid for uid, one in self._pending.items() if one.is_overtaken]
            for uid in overtaken:
                self._pending[uid].is_overtaken = False
            return overtaken

    def put_back(self, series_uid: str, source: str, site: str) -> None:
        """Follows a series again that could not be queued."""
        with self._lock:
            self._pending.setdefault(series_uid, _Pending(source, site, since=self._clock(), quiet_s=self._quiet_s))

    def is_pending(self, series_uid: str) -> bool:
        """Says whether a series is still coming in."""
        with self._lock:
            return series_uid in self._pending
