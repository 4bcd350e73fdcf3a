"""The worklist, verdicts, the audit trail and users."""

from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from cspine.errors import OutputError, UsageError
from cspine.node.store import Role, State, Store, open_store
from cspine.node.store.audit import Entry, first_broken, record
from cspine.node.store.queue import finish
from cspine.node.store.tables import audit, facts, jobs
from cspine.node.store.users import (
    all_users,
    disable_user,
    put_token,
    put_user,
    user_by_name,
    user_by_password,
    user_by_token,
)
from cspine.node.store.verdicts import Verdict, put_verdict, read_verdicts
from cspine.node.store.worklist import Filter, Order, last_change, listed, worklist
from tests.node.series import NEGATIVE, POSITIVE, arrive, take
from tests.node.times import Clock


@pytest.fixture
def filled(store: Store, clock: Clock) -> Store:
    """Returns three series: a positive one, a negative one, a queued one."""
    for name, finished in (("1", NEGATIVE), ("2", POSITIVE)):
        arrive(store, name)
        finish(store, take(store), finished)
        clock.now += 60
    arrive(store, "3")
    return store


def _keys(store: Store, wanted: Filter) -> list[str]:
    return [row.key for row in worklist(store, wanted)]


def test_the_worklist_is_ordered_as_asked(filled: Store) -> None:
    assert _keys(filled, Filter()) == ["key2-10", "key1-10", "key3-10"]
    assert _keys(filled, Filter(order=Order.RECEIVED)) == ["key3-10", "key2-10", "key1-10"]
    assert _keys(filled, Filter(order=Order.PROBABILITY)) == ["key2-10", "key1-10", "key3-10"]


def test_the_worklist_is_filtered_as_asked(filled: Store) -> None:
    assert _keys(filled, Filter(states=(State.QUEUED,))) == ["key3-10"]
    assert _keys(filled, Filter(text="name1")) == ["key1-10"]
    assert _keys(filled, Filter(text="id2")) == ["key2-10"]
    assert _keys(filled, Filter(text="%")) == []
    assert _keys(filled, Filter(site="elsewhere")) == []
    assert _keys(filled, Filter(most=1, skip=1)) == ["key1-10"]


def test_what_somebody_has_read_comes_after_all_others(filled: Store) -> None:
    put_verdict(filled, Verdict("key2-10", "ann", {"C2": True}))

    assert _keys(filled, Filter()) == ["key1-10", "key3-10", "key2-10"]
    assert _keys(filled, Filter(acknowledged=True)) == ["key2-10"]
    assert _keys(filled, Filter(acknowledged=False)) == ["key1-10", "key3-10"]


def test_the_worklist_can_be_limited_to_the_last_days(filled: Store, clock: Clock) -> None:
    clock.now += 86400 - 90

    assert _keys(filled, Filter(days=1, order=Order.RECEIVED)) == ["key3-10", "key2-10"]


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ((State.DONE,), 1),
        ((State.SUPERSEDED, State.DONE, State.IGNORED), 2),
        ((State.DONE, State.IGNORED, State.IGNORED), 1),
        ((State.IGNORED, State.QUEUED), 2),
        ((State.IGNORED, State.IGNORED), 2),
        ((State.IGNORED, State.SUPERSEDED, State.FAILED), 3),
    ],
)
def test_a_series_is_shown_by_its_newest_version_and_an_ignored_one_only_if_there_is_no_other(
    store: Store, states: tuple[State, ...], shown: int
) -> None:
    arrive(store, "2", images=50)
    for version, state in enumerate(states, 1):
        arrive(store, "1", images=version)
        with store.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.key == f"key1-{version}").values(state=state))

    assert sorted(_keys(store, Filter())) == [f"key1-{shown}", "key2-50"]


def test_a_row_says_all_about_its_series(filled: Store) -> None:
    row = listed(filled, "key2-10")

    assert row is not None
    assert (row.source, row.site, row.images, row.patient.patient_name) == ("CT1", "ER", 10, "Name2")
    assert row.result is not None
    assert (row.result.probability, row.result.low, row.result.positive) == (0.9, 0.8, True)
    assert row.credit_minutes == 540
    assert row.rank_at == row.received_at - 540 * 60
    assert "Name2" not in repr(row)
    assert listed(filled, "nothing") is None


def test_a_change_is_noticed(filled: Store, clock: Clock) -> None:
    before = last_change(filled)
    clock.now += 5
    arrive(filled, "4")

    assert last_change(filled) == before + 5


def test_a_verdict_is_bound_to_the_version_and_the_package(filled: Store) -> None:
    put_verdict(filled, Verdict("key2-10", "ann", {"C2": True}, "odontoid"))
    put_verdict(filled, Verdict("key2-10", "ann", {"C2": False}))
    put_verdict(filled, Verdict("key2-10", "bob", {"C3": True}))

    kept = read_verdicts(filled)
    assert [(one.verdict.reader, one.verdict.levels) for one in kept] == [("ann", {"C2": False}), ("bob", {"C3": True})]
    assert (kept[0].package, kept[0].package_version, kept[0].version, kept[0].study_uid) == ("coded", "3", 1, "1.9.2")
    assert read_verdicts(filled, "key1-10") == ()
    row = listed(filled, "key2-10")
    assert row is not None
    assert row.readers == ("ann", "bob")
    assert _keys(filled, Filter(acknowledged=True)) == ["key2-10"]
    assert _keys(filled, Filter(acknowledged=False)) == ["key1-10", "key3-10"]


def test_a_superseded_result_takes_no_verdict(filled: Store) -> None:
    arrive(filled, "2", images=12)
    while (row := listed(filled, "key2-12")) is not None and row.state is not State.DONE:
        finish(filled, take(filled), NEGATIVE)

    with pytest.raises(UsageError, match=r"^A verdict needs the present result of a series\. .*superseded this one\. Read that\.$"):
        put_verdict(filled, Verdict("key2-10", "ann", {"C2": True}))


@pytest.mark.parametrize(
    ("levels", "comment", "message"),
    [
        ({"C8": True}, "", r"^A verdict needs levels C1 to C7\. Received: C8\. Correct it\.$"),
        ({}, "", r"^A verdict needs levels C1 to C7\. Received: none\. Correct it\.$"),
        ({"C2": 1}, "", r"^A verdict says true or false of a level\. Received something else\. Correct it\.$"),
        ({"C2": True}, "x" * 4001, r"^A comment has at most 4000 characters\. Received: 4001\. Shorten it\.$"),
    ],
)
def test_a_verdict_that_says_nothing_is_refused(levels: dict[str, bool], comment: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Verdict("key", "ann", levels, comment)


def test_the_audit_trail_can_only_grow(store: Store) -> None:
    record(store, Entry("ann", "login"))

    for change in (update(audit).values(actor="bob"), delete(audit)):
        with pytest.raises(Exception, match=r"The audit trail can only grow"), store.writing() as connection:
            connection.execute(change)


def test_an_entry_that_was_altered_is_found(store: Store) -> None:
    for number in range(4):
        record(store, Entry("ann", "login", detail=str(number)))
    assert first_broken(store) is None

    with store.writing() as connection:
        row = connection.execute(select(audit).where(audit.c.id == 4)).one()
        values = row._asdict() | {"id": 5, "actor": "bob", "previous": row.hash, "hash": "0" * 63 + "1"}
        connection.execute(insert(audit).values(**values))

    assert first_broken(store) == 5


def test_a_verdict_stands_in_the_audit_trail(filled: Store) -> None:
    put_verdict(filled, Verdict("key2-10", "ann", {"C2": True}))

    with filled.reading() as connection:
        entries = connection.execute(select(audit.c.actor, audit.c.action, audit.c.subject)).all()
    assert [tuple(entry) for entry in entries] == [("ann", "verdict", "key2-10")]


def test_a_user_comes_in_with_the_password_only(store: Store) -> None:
    put_user(store, "ann", Role.READER, "correct horse battery")

    user = user_by_password(store, "ann", "correct horse battery")
    assert user is not None
    assert user.role is Role.READER
    assert user_by_password(store, "ann", "correct horse batter") is None
    assert user_by_password(store, "bob", "correct horse battery") is None
    assert user_by_name(store, "ann") == user
    assert all_users(store) == (user,)
    assert disable_user(store, "ann")
    assert user_by_password(store, "ann", "correct horse battery") is None
    assert user_by_name(store, "ann") is None


def test_a_user_for_whom_a_proxy_vouches_has_no_password(store: Store) -> None:
    put_user(store, "ann", Role.ADMIN, None)

    assert user_by_password(store, "ann", "") is None
    assert user_by_name(store, "ann") is not None


def test_a_token_lets_a_program_in_until_it_is_replaced(store: Store) -> None:
    first = put_token(store, "script")
    user = user_by_token(store, first)
    assert user is not None
    assert user.role is Role.API

    second = put_token(store, "script")
    assert user_by_token(store, first) is None
    assert user_by_token(store, second) == user
    assert user_by_token(store, "") is None


@pytest.mark.parametrize("name", ["", " ann", "a" * 65, "ann\n", "<b>"])
def test_a_name_that_is_not_fit_is_refused(store: Store, name: str) -> None:
    with pytest.raises(
        UsageError, match=r"^A user needs a name of up to 64 letters, digits and _ \. @ -\. Received: .*\. Correct it\.$"
    ):
        put_user(store, name, Role.READER, "correct horse battery")


def test_a_short_password_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match=r"^A password needs at least 12 characters\. Received: 5\. Choose a longer one\.$"):
        put_user(store, "ann", Role.READER, "12345")


def test_a_store_of_another_version_is_refused(store: Store, database: str, tmp_path: Path) -> None:
    with store.writing() as connection:
        connection.execute(update(facts).values(value="99"))

    with pytest.raises(UsageError, match=r"must have layout 1\. It has 99, of another cspine\. Use that version\.$"):
        open_store(database, tmp_path / "node")


def test_a_database_that_does_not_answer_is_one_line_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^node\.database needs a database that answers\. .* says: .*\. Correct it\.$") as caught:
        open_store("postgresql://node:secret@127.0.0.1:1/none", tmp_path)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match=r"^node\.data needs a folder\. .* cannot be made: .*\. Choose another one\.$"):
        open_store("sqlite", tmp_path / "file" / "node")
