"""Threads for work on large arrays.

Those of numpy's own matrix library wait for more work by spinning for some milliseconds, in the way of the networks and of other
threads that come next. So here each product keeps to one thread, and several are done side by side.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")
Found = TypeVar("Found")

COUNT = os.cpu_count() or 1
"""How many are of use."""


def alone() -> AbstractContextManager[object]:
    """Within it a matrix product keeps to one thread."""
    context: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return context


def side_by_side(work: Callable[[Part], Found], parts: Sequence[Part]) -> list[Found]:
    """What some work finds for each of some parts, one a thread at a time."""
    with alone(), ThreadPoolExecutor(max(min(COUNT, len(parts)), 1)) as threads:
        return list(threads.map(work, parts))


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
