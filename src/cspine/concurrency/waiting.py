"""Work that waits rather than calculates, as for files of a network's disk: much of it is then waited for at once."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_TRIED = 5
"""Parts that are done one after the other, to see how long each waits."""

_LONG_S = 0.001
"""A part that waits longer, on the median, is waited for together with others; a file of a disk in this machine takes a tenth."""

_MANY = 16
"""Parts that wait at once."""

_AHEAD = 4
"""Parts for each thread that may be done or begun before they are asked for: memory does not grow with their number."""


def in_order(work: Callable[[T], R], parts: Iterable[T], threads: int = 1) -> Iterator[R]:
    """Yields what some work finds for each of some parts, in their order; the first error ends it.

    Args:
        work: Does one part; several threads may do it at once.
        parts: What is done.
        threads: How many are done at once where they do not wait long.
    """
    parts, waited = iter(parts), []
    for part in islice(parts, _TRIED):
        begin, busy = time.perf_counter(), time.thread_time()
        found = work(part)
        waited.append(time.perf_counter() - begin - (time.thread_time() - busy))
        yield found
    if waited and statistics.median(waited) > _LONG_S:
        threads = max(threads, _MANY)
    yield from map(work, parts) if threads == 1 else _ahead(work, parts, threads)


def _ahead(work: Callable[[T], R], parts: Iterator[T], threads: int) -> Iterator[R]:
    with ThreadPoolExecutor(threads) as pool:
        begun = deque(pool.submit(work, part) for part in islice(parts, threads * _AHEAD))
        try:
            while begun:
                found = begun.popleft().result()
                begun.extend(pool.submit(work, part) for part in islice(parts, 1))
                yield found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
