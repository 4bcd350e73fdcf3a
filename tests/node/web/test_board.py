"""The worklist is kept as it was shown, and is true all the same."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete

from benchmarks.node.worklist import measure
from cspine.node.config import KeepSettings
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.spool import Folders
from cspine.node.retention import remove_old
from cspine.node.store.nouns import Parcel, State
from cspine.node.store.queue import finish
from cspine.node.store.sending import claim_parcels, refused
from cspine.node.store.tables import patients
from cspine.node.store.verdicts import Verdict, put_verdict
from cspine.node.store.worklist import Filter, Order, stored_rows
from cspine.node.web import board
from cspine.node.web.board import Board
from cspine.node.web.markup import rendered
from tests.node.series import FAILED, arrive, parcels, take
from tests.node.times import Clock
from tests.node.web.sites import NEGATIVE, POSITIVE, Made


class Counted:
    """Counts how often the list was read, and rows were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read, self.made = 0, 0

        def counted_read(*arguments: Any) -> Any:
            self.read += 1
            return stored_rows(*arguments)

        def counted_made(*arguments: Any) -> Any:
            self.made += 1
            return rendered(*arguments)

        monkeypatch.setattr(board, "stored_rows", counted_read)
        monkeypatch.setattr(board, "rendered", counted_made)

    def take(self) -> tuple[int, int]:
        """Returns both, and counts from nothing again."""
        counts, self.read, self.made = (self.read, self.made), 0, 0
        return counts


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_a_list_is_read_again_only_if_something_was_written(node: Made, counted: Counted) -> None:
    kept = Board(node.store)
    for name in ("1", "2", "3"):
        node.assess(name)

    first = kept.show(Filter(), masked=False)
    assert counted.take() == (1, 3)
    assert kept.show(Filter(), masked=False) == first
    assert counted.take() == (0, 0)

    node.assess("4")
    assert kept.show(Filter(), masked=False).count == 4
    assert counted.take() == (1, 1)


def test_how_long_a_study_has_waited_grows_all_the_same(node: Made, counted: Counted, clock: Clock) -> None:
    kept = Board(node.store)
    node.assess("1")
    kept.show(Filter(), masked=False)
    counted.take()
    clock.now += 34 * 60

    assert ">34 min</time>" in kept.show(Filter(), masked=False).body
    assert counted.take() == (0, 0)


def test_all_that_changes_of_a_row_is_seen(node: Made, counted: Counted) -> None:
    kept = Board(node.store)
    key = node.assess("1")
    arrive(node.store, "2")

    def body() -> str:
        return str(kept.show(Filter(), masked=False).body)

    shown = [body()]
    claimed = take(node.store)
    shown.append(body())
    finish(node.store, claimed, POSITIVE, [Parcel("pacs", "sr", "2.25.1", "1.2", "result_sr.dcm")])
    shown.append(body())
    refused(node.store, claim_parcels(node.store, "pacs", "d", 60, 1)[0], "d", 60, "It answered A700.")
    shown.append(body())
    put_verdict(node.store, Verdict(key, "ada", {"C1": False}))
    shown.append(body())
    with node.store.writing() as connection:  # as retention erases them, at no moment of the row
        connection.execute(delete(patients))
    shown.append(body())

    assert len(set(shown)) == 6
    assert "Doe" in shown[-2]
    assert "Doe" not in shown[-1]
    assert counted.take() == (6, 2 + 1 + 1 + 1 + 1 + 2)


def test_open_pages_are_told_of_changes_although_the_clock_was_set_back(node: Made, clock: Clock) -> None:
    kept = Board(node.store)
    node.assess("1")
    told = [kept.last_change(), kept.last_change()]
    clock.now -= 3600
    node.assess("2")
    told.append(kept.last_change())
    node.assess("3")
    told.append(kept.last_change())

    assert told[0] == told[1]
    assert len(set(told)) == 3


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    """Has time go by as the clock does, which nobody sets."""
    monkeypatch.setattr(board, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(board, "_LONGEST_S", 1e9)
    return clock


def test_only_rows_that_changed_are_read(node: Made, steady: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, read = Board(node.store), []
    keys = []
    for number in range(1, 6):
        keys.append(node.assess(str(number)))
        steady.now += 120

    def counted(*arguments: Any) -> Any:
        read.append(stored_rows(*arguments))
        return read[-1]

    monkeypatch.setattr(board, "stored_rows", counted)
    kept.show(Filter(), masked=False)
    steady.now += 120
    put_verdict(node.store, Verdict(keys[2], "ada", {"C1": False}))
    kept.show(Filter(), masked=False)
    steady.now += 120
    arrive(node.store, "6")
    kept.show(Filter(), masked=False)
    steady.now -= 86_400  # the clock was set back
    monkeypatch.setattr(board, "time", SimpleNamespace(monotonic=lambda: steady.now + 86_400))
    kept.show(Filter(), masked=False)
    put_verdict(node.store, Verdict(keys[0], "ada", {"C1": False}))
    kept.show(Filter(), masked=False)

    assert [len(rows) for rows in read] == [5, 1, 1 + 1, 6]  # what changed a moment before the last look may have come after it


@pytest.mark.parametrize(
    "wanted",
    [
        *(Filter(order=order) for order in Order),
        Filter(states=(State.DONE,)),
        Filter(text="ID2"),
        Filter(acknowledged=False),
        Filter(most=2),
        Filter(order=Order.RECEIVED, skip=1),
    ],
)
def test_a_list_that_was_kept_is_the_one_that_is_read(node: Made, steady: Clock, wanted: Filter) -> None:
    kept, folders = Board(node.store), Folders(node.config.node.data)
    folders.make()
    keys: list[str] = []

    def lose() -> None:
        finish(node.store, take(node.store), FAILED)

    def send() -> None:
        refused(node.store, claim_parcels(node.store, "pacs", "d", 60, 1)[0], "d", 60, "It answered A700.")

    def forget() -> None:
        steady.now += 100 * 86_400
        remove_old(node.store, folders, KeepSettings(), Completeness(5, 60))

    acts: list[Callable[[], object]] = [
        lambda: keys.append(node.assess("1")),
        lambda: keys.append(node.assess("2", NEGATIVE)),
        lambda: arrive(node.store, "3"),
        lambda: finish(node.store, take(node.store), POSITIVE, parcels("3")),
        lambda: put_verdict(node.store, Verdict(keys[0], "ada", {"C1": True})),
        send,
        lambda: arrive(node.store, "2", images=12),
        lambda: take(node.store, "other"),
        lambda: arrive(node.store, "4"),
        lose,
        forget,
        lambda: arrive(node.store, "4", images=14),
    ]
    for act in acts:
        kept.show(wanted, masked=False)
        steady.now += 120
        act()

        assert kept.show(wanted, masked=False) == Board(node.store).show(wanted, masked=False)


def test_hidden_patients_have_a_list_of_their_own(node: Made) -> None:
    kept = Board(node.store)
    node.assess("1")

    bodies = [kept.show(Filter(), masked=masked).body for masked in (False, True, False, True)]

    assert ["Doe" in body for body in bodies] == [True, False, True, False]


def test_what_somebody_has_read_comes_last(node: Made) -> None:
    kept = Board(node.store)
    read = node.assess("1")
    unread = node.assess("2", NEGATIVE)

    before = kept.show(Filter(), masked=False).body
    put_verdict(node.store, Verdict(read, "ada", {"C1": False}))
    after = kept.show(Filter(), masked=False).body

    assert before.index(read) < before.index(unread)
    assert after.index(unread) < after.index(read)


def test_a_list_of_the_last_days_lets_studies_go_although_nothing_is_written(
    node: Made, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "_LONGEST_S", -1.0)
    kept = Board(node.store)
    node.assess("1")

    assert kept.show(Filter(days=1), masked=False).count == 1
    clock.now += 86401
    assert kept.show(Filter(days=1), masked=False).count == 0
    assert kept.show(Filter(days=7), masked=False).count == 1


def test_searches_do_not_fill_the_memory(node: Made, counted: Counted) -> None:
    kept = Board(node.store)
    for number in range(100):
        kept.show(Filter(text=f"name {number}"), masked=False)

    assert len(kept._lists) == board._MOST_LISTS
    counted.take()
    kept.show(Filter(text="name 99"), masked=False)
    assert counted.take() == (0, 0)


def test_the_benchmark_of_the_page_asks_for_the_whole_list(tmp_path: Path) -> None:
    one, three = (measure(count, tmp_path / str(count)) for count in (1, 3))

    assert three.kilobytes - one.kilobytes > 2


def test_an_image_that_says_what_stands_for_the_time_spoils_no_row(node: Made) -> None:
    node.assess("1", site=f"ER{board._WAITED}<b>")

    body = Board(node.store).show(Filter(), masked=False).body

    assert f"ER{board._WAITED}&lt;b&gt;" in body
