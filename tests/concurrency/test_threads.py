"""Threads for work on large arrays."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cspine.concurrency.processors import processors
from cspine.concurrency.threads import alone, side_by_side


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_products_keep_to_one_thread_within_and_to_what_was_set_after() -> None:
    np.ones((4, 4)) @ np.ones((4, 4))
    before = blas_threads()

    with alone():
        within = blas_threads()

    assert within == {1}
    assert blas_threads() == before


def test_calls_that_overlap_keep_to_one_thread_until_the_last_ends_and_then_to_what_was_set_before() -> None:
    with threadpool_limits(3, user_api="blas"):
        before = blas_threads()
        first, second = alone(), alone()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        still = blas_threads()
        second.__exit__(None, None, None)

        assert still == {1}
        assert blas_threads() == before


def test_many_threads_that_come_and_go_leave_the_number_of_threads_as_it_was() -> None:
    with threadpool_limits(3, user_api="blas"):
        before = blas_threads()

        def come_and_go(_: int) -> set[int]:
            with alone():
                return blas_threads()

        with ThreadPoolExecutor(8) as threads:
            within = list(threads.map(come_and_go, range(200)))

        assert all(count == {1} for count in within)
        assert blas_threads() == before


def test_each_part_is_worked_on_and_what_was_found_comes_in_their_order() -> None:
    seen = list[str]()

    def work(number: int) -> int:
        seen.append(threading.current_thread().name)
        assert blas_threads() == {1}
        return number**2

    assert side_by_side(work, range(20)) == [number**2 for number in range(20)]
    assert 1 <= len(set(seen)) <= processors()
    assert threading.current_thread().name not in seen
    assert side_by_side(work, []) == []


def test_an_error_in_a_thread_is_an_error_here() -> None:
    before = blas_threads()

    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda number: 1 // number, [1, 0])

    assert blas_threads() == before
