"""Holds what several threads share without getting in each other's way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Lends items that one thread at a time may use, such as buffers; makes another where all are lent.

    It never holds more items than were lent at once.

    Args:
        make: Makes an item.
    """

    def __init__(self, make: Callable[[], Item]) -> None:
        self._make = make
        self._free: list[Item] = []

    @contextmanager
    def lend(self) -> Iterator[Item]:
        """Lends an item for as long as the context lasts; what the last borrower left in it is still there."""
        try:
            item = self._free.pop()  # atomic, as is append
        except IndexError:
            item = self._make()
        try:
            yield item
        finally:
            self._free.append(item)


class SharedContext:
    """A change to the whole process that lasts while any thread needs it: the first to enter makes it, the last to leave undoes it.

    Context managers that save a state and restore it fail when two threads overlap: the second saves what the first has set, and
    restores that for good.

    Args:
        make: Makes the context that changes and undoes.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._context: AbstractContextManager[object] | None = None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Keeps the change while it is open, whichever other threads enter and leave meanwhile."""
        with self._lock:
            if self._inside == 0:
                self._context = self._make()
                self._context.__enter__()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0 and self._context is not None:
                    self._context.__exit__(None, None, None)
