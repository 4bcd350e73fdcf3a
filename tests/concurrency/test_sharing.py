"""Pools and contexts that several threads share."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest

from cspine.concurrency.sharing import Pool, SharedContext


def test_two_borrowers_never_hold_the_same_item() -> None:
    pool, together = Pool(list[int]), Barrier(4, timeout=20)

    def borrow(number: int) -> bool:
        with pool.lend() as item:
            together.wait()
            item.append(number)
            together.wait()
            return item[-1] == number

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(borrow, range(4)))


def test_one_borrower_after_the_other_gets_the_same_item() -> None:
    pool = Pool(object)
    with pool.lend() as first, pytest.raises(ZeroDivisionError), pool.lend():
        1 / 0  # noqa: B018

    with pool.lend() as second, pool.lend() as third:
        assert first in (second, third)
        assert second is not third


def test_a_shared_change_is_made_once_and_undone_when_the_last_has_left() -> None:
    told = list[str]()

    @contextmanager
    def change() -> Iterator[None]:
        told.append("made")
        yield
        told.append("undone")

    shared = SharedContext(change)
    first, second = shared.entered(), shared.entered()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert told == ["made"]
    second.__exit__(None, None, None)
    assert told == ["made", "undone"]
    with shared.entered():
        assert told == ["made", "undone", "made"]
