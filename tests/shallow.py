"""Networks of Keras with few of their many like blocks: built in a tenth of the time, every layer that is read from included."""

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest

_REPEATING = ("densenet", "efficientnet_v2", "inception_resnet_v2")
"""Modules of :mod:`keras.applications` whose blocks are made in loops."""


@contextmanager
def shallow_applications() -> Iterator[None]:
    """Has these networks repeat a block once at most: the first and second where blocks are counted from 0, else the last.

    Names, widths and kinds of the layers that are left are those of the whole network.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in _REPEATING:
            patch.setattr(import_module(f"keras.src.applications.{name}"), "range", _few, raising=False)
        yield


def _few(first: int, end: int | None = None) -> builtins.range:
    """Returns the numbers of few of the blocks that a loop makes."""
    return builtins.range(min(first, 2)) if end is None else builtins.range(max(first, end - 1), end)
