"""Threads for work on large arrays.

Those of numpy's own matrix library wait for more work by spinning for some milliseconds, in the way of the networks and of other
threads that come next. So here each product keeps to one thread, and several are done side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import OpenBLASController, ThreadpoolController

from cspine.concurrency.processors import processors
from cspine.concurrency.sharing import SharedContext

T = TypeVar("T")
R = TypeVar("R")


def alone() -> AbstractContextManager[None]:
    """Keeps matrix products to one thread, in all of the process, while it is open.

    Calls may overlap, in one thread or in several: the number of threads of before comes back when the last one ends.
    """
    return _ONE_THREAD.entered()


def side_by_side(work: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Returns what some work finds for each of some parts, one a thread at a time.

    There are no more threads than processors that this process may use.
    """
    with alone(), ThreadPoolExecutor(max(min(processors(), len(parts)), 1)) as threads:
        return list(threads.map(work, parts))


@contextmanager
def _one_thread() -> Iterator[None]:
    _release_control()
    limit = _libraries().limit(limits=1, user_api="blas")
    _release_control()
    try:
        yield
    finally:
        _release_control()
        limit.restore_original_limits()
        _release_control()


def _release_control() -> None:
    """Lets any thread set the number of threads of OpenBLAS next; threadpoolctl ignores all but the first that did, without a word.

    Here the first to come sets it and the last to leave sets it back, and these may be two threads.
    """
    OpenBLASController.clear_controlling_thread(force=True)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


_ONE_THREAD = SharedContext(_one_thread)
