"""Checks what ``python -m benchmarks.node.soak`` calls wrong."""

import pytest

from benchmarks.node.soak import doubled, growing, result_of, wrong
from cspine.node.store import Store
from cspine.node.store.nouns import Finished
from cspine.node.store.queue import finish
from cspine.node.store.worklist import worklist
from tests.node.series import FAILED, NEGATIVE, POSITIVE, arrive, take

ONE, OTHER = "1.2.1", "1.2.2"


@pytest.mark.parametrize(
    ("finished", "sent", "told"),
    [
        (POSITIVE, {ONE: True}, []),
        (NEGATIVE, {ONE: False}, []),
        (NEGATIVE, {ONE: True}, [f"{ONE} is done, positive: False"]),
        (FAILED, {ONE: False}, [f"{ONE} is failed, positive: None"]),
        (POSITIVE, {ONE: True, OTHER: False}, ["2 series were sent, the list has 1 rows of 1"]),
    ],
)
def test_a_result_that_is_missing_or_wrong_is_told(
    store: Store, finished: Finished, sent: dict[str, bool], told: list[str]
) -> None:
    arrive(store)
    finish(store, take(store), finished)

    assert list(wrong(worklist(store), sent)) == told


@pytest.mark.parametrize(
    ("uids", "told"),
    [
        (["1", "2", "3"], []),
        (["1", "2"], ["the archive was sent 2 objects, 2 different ones, instead of 3"]),
        (["1", "2", "3", "3"], ["the archive was sent 4 objects, 3 different ones, instead of 3"]),
    ],
)
def test_an_object_that_an_archive_lacks_or_was_sent_twice_is_told(uids: list[str], told: list[str]) -> None:
    assert list(doubled(uids, studies=1)) == told


@pytest.mark.parametrize(
    ("sizes", "studies", "told"),
    [
        ([100.0, 200.0, 210.0], 500, []),
        ([100.0, 200.0, 230.0], 500, ["the worker grew from 200 to 230 MB"]),
        ([10.0, 20.0, 30.0], 500, []),
        ([100.0, 200.0, 230.0], 10, []),
    ],
)
def test_a_process_that_grows_over_many_studies_is_told(sizes: list[float], studies: int, told: list[str]) -> None:
    assert list(growing({"worker": sizes}, studies)) == told


@pytest.mark.parametrize(("late", "told"), [(230.0, []), (245.0, ["the web grew from 200 to 245 MB"])])
def test_the_web_process_may_keep_the_rows_of_its_list(late: float, told: list[str]) -> None:
    assert list(growing({"web": [100.0, 200.0, late]}, 2000)) == told


def test_a_series_that_was_classified_has_a_result_and_one_that_is_awaited_has_none(store: Store) -> None:
    arrive(store)
    assert result_of(store, ONE) is None

    finish(store, take(store), NEGATIVE)
    assert result_of(store, ONE) is not None
    assert result_of(store, OTHER) is None


def test_a_series_that_failed_is_not_waited_for(store: Store) -> None:
    arrive(store)
    finish(store, take(store), FAILED)

    with pytest.raises(RuntimeError, match="needs a scan that the shipped packages can classify"):
        result_of(store, ONE)
