"""Keeps the worklist as it was shown: it is read again only if something was written, and only changed rows are made anew.

Most requests for the list find it as it was, since every open page asks for it, and again each minute.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from markupsafe import Markup

from cspine.node.store import Store
from cspine.node.store.worklist import Filter, StoredRow, last_change, stored_rows
from cspine.node.web.markup import rendered
from cspine.node.web.rows import duration, worklist_row

_MOST_LISTS = 16
_LONGEST_S = 30.0
"""A list of the last days is read again after so long: studies grow older without anything being written."""

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
    mark: str
    read_at: float
    pieces: dict[StoredRow, _Piece]


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
            pieces = self._current((wanted, masked), mark).values()
        now = self._store.clock()
        body = "".join(f"{piece.before}{duration(now - piece.received_at)}{piece.after}" for piece in pieces)
        return Shown(Markup(body), len(pieces), sorted({piece.site for piece in pieces if piece.site}))  # escaped by the template

    def _current(self, key: tuple[Filter, bool], mark: str) -> dict[StoredRow, _Piece]:
        (wanted, masked), now, kept = key, time.monotonic(), self._lists.get(key)
        if kept is None or kept.mark != mark or (wanted.days is not None and now - kept.read_at > _LONGEST_S):
            known = {} if kept is None else kept.pieces
            found = stored_rows(self._store, wanted)
            kept = _List(mark, now, {stored: known.get(stored) or _piece(stored, masked) for stored in found})
            self._lists[key] = kept
        self._lists.move_to_end(key)
        while len(self._lists) > _MOST_LISTS:
            self._lists.popitem(last=False)
        return kept.pieces


def _piece(stored: StoredRow, masked: bool) -> _Piece:
    listed = stored.row()
    row = worklist_row(listed, masked=masked)
    before, _, after = rendered("row.html", {"row": row, "waited": _WAITED}).partition(_WAITED)
    return _Piece(before, listed.received_at, after, row.site)
