"""Arrays that another process is handed without a copy: one copy of a volume, whichever process reads it.

In short, in the process that makes the array, and in the one that takes it::

    with handing_over(most_bytes) as arrays:    # where the system can (Linux)
        answer = function()                      # asks ``room`` for its arrays
        array = arrays.handle_of(memoryview)     # a file descriptor, to be sent through a socket

    taken(descriptor, size)                      # a buffer over the same memory
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

POSSIBLE = hasattr(os, "memfd_create")
"""Whether this system has memory that a descriptor stands for."""


@dataclass(slots=True)
class SharedArrays:
    """Holds arrays in memory that another process can be handed.

    Attributes:
        most_bytes: What all of them may take: the limit on a process's own memory does not count them.
        handles: The descriptor and the size of each, by its address.
    """

    most_bytes: int
    handles: dict[int, tuple[int, int]] = field(default_factory=dict)

    def empty(self, shape: tuple[int, ...], dtype: type[np.number[Any]]) -> NDArray[Any]:
        """Returns an array of zeros.

        Raises:
            MemoryError: It is more than may be taken.
        """
        size = max(prod(shape), 1) * np.dtype(dtype).itemsize
        if size + sum(taken for _, taken in self.handles.values()) > self.most_bytes:
            raise MemoryError
        descriptor = os.memfd_create("cspine-volume", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            array = np.frombuffer(mmap.mmap(descriptor, size), dtype, prod(shape)).reshape(shape)
        except BaseException:
            os.close(descriptor)
            raise
        self.handles[array.ctypes.data] = (descriptor, size)
        return array

    def handle_of(self, view: memoryview) -> int | None:
        """Returns the descriptor of an array that was made here, by its bytes; ``None`` for any other."""
        if not view.nbytes:
            return None
        descriptor, size = self.handles.get(np.frombuffer(view, np.uint8).ctypes.data, (None, 0))
        return descriptor if size == view.nbytes else None

    def discard(self, array: NDArray[Any]) -> None:
        """Gives up an array that will not be handed over; its memory is free when nobody has it any more."""
        descriptor, _ = self.handles.pop(array.ctypes.data)
        os.close(descriptor)

    def close(self) -> None:
        """Closes all descriptors; arrays stay while somebody has them."""
        for descriptor, _ in self.handles.values():
            os.close(descriptor)
        self.handles.clear()


_CURRENT: list[SharedArrays] = []


def room(shape: tuple[int, ...], dtype: type[np.number[Any]] = np.float32) -> NDArray[Any]:
    """Returns an array for a volume, its values not set: in shared memory where it will be handed over."""
    return _CURRENT[-1].empty(shape, dtype) if _CURRENT else np.empty(shape, dtype)


def not_needed(array: NDArray[Any]) -> None:
    """Gives up an array of :func:`room`, so that another may take its place."""
    if _CURRENT:
        _CURRENT[-1].discard(array)


@contextmanager
def handing_over(most_bytes: int) -> Iterator[SharedArrays]:
    """Has ``room`` give shared memory, in all of this process, while it is open.

    Args:
        most_bytes: What all arrays may take.
    """
    arrays = SharedArrays(most_bytes)
    _CURRENT.append(arrays)
    try:
        yield arrays
    finally:
        _CURRENT.remove(arrays)
        arrays.close()


def taken(descriptor: int, size: int) -> NDArray[np.uint8]:
    """Returns the bytes that a descriptor stands for, and closes it.

    Raises:
        OSError: They cannot be had.
    """
    try:
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        return np.frombuffer(mmap.mmap(descriptor, size, flags), np.uint8)
    finally:
        os.close(descriptor)
