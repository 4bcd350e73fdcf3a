"""Keeps the worklist as it was shown: only rows that changed are read and made anew, and only if something was written.

Most requests for the list find it as it was, since every open page asks for it, and again each minute.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from markupsafe import Markup

from cspine.node.store import Store
from cspine.node.store.worklist import Filter, StoredRow, changed_series, last_change, stored_rows
from cspine.node.web.markup import rendered
from cspine.node.web.rows import duration, worklist_row

_MOST_LISTS = 16
_LONGEST_S = 30.0
"""After so long all of a list is read again: studies grow older without anything being written."""

_SLACK_S, _STEP_S, _MOST_CHANGED = 60.0, 5.0, 50
"""So long a transaction may take; a clock that went by so much more or less than time was set; with more changes all is read."""

_WAITED = "\x1f"
"""Stands for how long a study has waited; it comes before all that an image says."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Holds a row as markup, cut where it says how long the study has waited.

    Attributes:
        before: What comes before that.
        received_at: Since when it waits.
        after: What comes after it.
        site: What people call the place.
    """

    before: str
    received_at: float
    after: str
    site: str


@dataclass(frozen=True, slots=True)
class _List:
    """Holds a list, in order.

    Attributes:
        mark: Of what had been written.
        read_at: When all of it was read; monotonic.
        looked_at: When it was read last, all of it or what had changed; monotonic.
        clock: The same by the clock of the store.
        rows: By number of the series.
    """

    mark: str
    read_at: float
    looked_at: float
    clock: float
    rows: dict[int, tuple[StoredRow, _Piece]]


@dataclass(frozen=True, slots=True)
class Shown:
    """Holds the rows of a worklist as a page shows them.

    Attributes:
        body: All rows, as markup.
        count: How many they are.
        sites: What people call the places that they are from.
    """

    body: Markup
    count: int
    sites: list[str]


class Board:
    """Keeps lists by filter, as many as people have open; threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._lists: OrderedDict[tuple[Filter, bool], _List] = OrderedDict()
        self._changed: tuple[str, str] | None = None

    def last_change(self) -> str:
        """Returns a text that is another one once the worklist has changed; the tables are asked only if something was written.

        It is the moment of the last change. Where that is still to come, since the clock was set back, it is the mark of all
        that was written.
        """
        mark = self._store.watch.mark()
        with self._lock:
            if self._changed is None or self._changed[0] != mark:
                moment = last_change(self._store)
                self._changed = mark, str(moment) if moment <= self._store.clock() else f"mark {mark}"
            return self._changed[1]

    def show(self, wanted: Filter, *, masked: bool) -> Shown:
        """Returns the rows that are wanted, true at this moment.

        Args:
            wanted: Which, and in what order.
            masked: Whether patients are hidden.
        """
        mark = self._store.watch.mark()  # before the lock, so that a database which does not answer makes nobody wait in line
        with self._lock:
            pieces = [piece for _, piece in self._current((wanted, masked), mark).values()]
        now = self._store.clock()
        body = "".join(f"{piece.before}{duration(now - piece.received_at)}{piece.after}" for piece in pieces)
        return Shown(Markup(body), len(pieces), sorted({piece.site for piece in pieces if piece.site}))  # escaped by the template

    def _current(self, key: tuple[Filter, bool], mark: str) -> dict[int, tuple[StoredRow, _Piece]]:
        (wanted, _), now, kept = key, time.monotonic(), self._lists.get(key)
        if kept is None or kept.mark != mark or (wanted.days is not None and now - kept.read_at > _LONGEST_S):
            kept = self._lists[key] = self._read(key, kept, mark, now)
        self._lists.move_to_end(key)
        while len(self._lists) > _MOST_LISTS:
            self._lists.popitem(last=False)
        return kept.rows

    def _read(self, key: tuple[Filter, bool], kept: _List | None, mark: str, now: float) -> _List:
        """Reads what has changed of a list, or all of it."""
        (wanted, masked), clock = key, self._store.clock()
        known = {} if kept is None else kept.rows
        changed = None if kept is None else self._changed_since(kept, wanted, now, clock)
        found = stored_rows(self._store, wanted, changed)
        rows = [] if changed is None else [one for number, one in known.items() if number not in changed]
        for stored in found:
            before = known.get(stored.series_id)
            rows.append(before if before is not None and before[0] == stored else (stored, _piece(stored, masked)))
        rows.sort(key=lambda row: row[0].place)
        if changed is not None and len(rows) > wanted.most:
            return self._read(key, None, mark, now)
        read_at = now if kept is None or changed is None else kept.read_at
        return _List(mark, read_at, now, clock, {stored.series_id: (stored, piece) for stored, piece in rows})

    def _changed_since(self, kept: _List, wanted: Filter, now: float, clock: float) -> frozenset[int] | None:
        """Returns the series that have changed since a list was read; ``None`` where all of it must be read.

        A moment of change is taken while nobody else writes, some time before it can be seen.
        """
        was_set = abs((clock - kept.clock) - (now - kept.looked_at)) > _STEP_S
        was_cut = wanted.skip > 0 or len(kept.rows) >= wanted.most
        if was_set or was_cut or now - kept.read_at > _LONGEST_S:
            return None
        changed = changed_series(self._store, kept.clock - _SLACK_S)
        return None if changed is None or len(changed) > _MOST_CHANGED else changed


def _piece(stored: StoredRow, masked: bool) -> _Piece:
    listed = stored.row()
    row = worklist_row(listed, masked=masked)
    before, _, after = rendered("row.html", {"row": row, "waited": _WAITED}).partition(_WAITED)
    return _Piece(before, listed.received_at, after, row.site)
