"""Sessions and what monitoring reads of the store."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from cspine.node.store import Role, State, Store
from cspine.node.store.audit import Entry, read_trail, record
from cspine.node.store.queue import finish
from cspine.node.store.scores import read_scores
from cspine.node.store.sessions import begin_session, end_session, user_of_session
from cspine.node.store.tables import sessions
from cspine.node.store.users import disable_user, put_user
from tests.node.series import FAILED, NEGATIVE, POSITIVE, arrive, take
from tests.node.times import Clock


@pytest.fixture
def token(store: Store) -> str:
    put_user(store, "ada", Role.READER, "a long password")
    return begin_session(store, "ada", 12.0)


def test_a_session_lasts_until_its_time_is_over(store: Store, clock: Clock, token: str) -> None:
    user = user_of_session(store, token, 12.0)
    clock.now += 12 * 3600 + 1

    assert user is not None
    assert (user.name, user.role) == ("ada", Role.READER)
    assert user_of_session(store, token, 12.0) is None


def test_a_clock_that_was_set_back_does_not_make_a_session_last_longer(store: Store, clock: Clock, token: str) -> None:
    clock.now -= 60
    corrected = user_of_session(store, token, 12.0)
    clock.now -= 86_400

    assert corrected is not None
    assert user_of_session(store, token, 12.0) is None


def test_a_session_ends_when_one_logs_out_and_no_other_does(store: Store, token: str) -> None:
    other = begin_session(store, "ada", 12.0)

    end_session(store, token)

    assert user_of_session(store, token, 12.0) is None
    assert user_of_session(store, other, 12.0) is not None


def test_a_new_password_ends_the_sessions_of_the_old_one(store: Store, token: str) -> None:
    put_user(store, "ada", Role.READER, "another long password")

    assert user_of_session(store, token, 12.0) is None


def test_who_may_come_in_no_more_has_no_session(store: Store, token: str) -> None:
    disable_user(store, "ada")

    assert user_of_session(store, token, 12.0) is None


def test_sessions_that_are_over_are_removed_and_no_token_is_kept(store: Store, clock: Clock, token: str) -> None:
    clock.now += 13 * 3600
    begin_session(store, "ada", 12.0)

    with store.reading() as connection:
        rows = connection.execute(select(sessions)).all()
    assert len(rows) == 1
    assert token not in str(rows)


def test_monitoring_reads_the_newest_finished_version_of_each_series(store: Store, clock: Clock) -> None:
    levels = ({"level": "C1", "probability": 0.1}, {"level": "C2", "probability": None})
    for name, finished in (("1", replace(NEGATIVE, levels=levels)), ("2", POSITIVE), ("3", FAILED)):
        arrive(store, name, scanner="Maker X", kernel="B60")
        finish(store, take(store), finished)
        clock.now += 60
    arrive(store, "1", images=12)
    finish(store, take(store), POSITIVE)

    scores = read_scores(store)

    assert [one.key for one in scores] == ["key2-10", "key3-10", "key1-12"]
    assert [one.state for one in scores] == [State.DONE, State.FAILED, State.DONE]
    assert (scores[0].site, scores[0].scanner, scores[0].kernel, scores[0].package) == ("ER", "Maker X", "B60", "coded 3")
    assert scores[1].code == "pixels"
    assert [one.key for one in read_scores(store, since=clock.now)] == ["key1-12"]


def test_a_level_that_was_not_assessed_has_no_score(store: Store) -> None:
    arrive(store)
    finish(
        store, take(store), replace(NEGATIVE, levels=({"level": "C1", "probability": 0.1}, {"level": "C2", "probability": None}))
    )

    assert read_scores(store)[0].levels == {"C1": 0.1}


@pytest.mark.parametrize(("low", "high", "sure"), [(None, None, True), (0.6, 0.95, True), (0.4, 0.95, False), (0.1, 0.3, True)])
def test_passes_on_either_side_of_the_threshold_are_unsure(store: Store, low: float, high: float, sure: bool) -> None:
    arrive(store)
    finish(store, take(store), replace(POSITIVE, low=low, high=high))

    assert read_scores(store)[0].sure is sure


def test_the_trail_is_read_from_its_end(store: Store) -> None:
    for number in range(5):
        record(store, Entry("ada", "login", str(number)))

    entries = read_trail(store, 2)

    assert [kept.entry.subject for kept in entries] == ["4", "3"]
    assert entries[0].number > entries[1].number
