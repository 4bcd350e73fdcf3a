"""Learning without a graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod

import keras
import pytest


@contextmanager
def step_by_step() -> Iterator[None]:
    """Has networks learn untraced: to trace a network takes as long as some ten steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "compile", partialmethod(keras.Model.compile, run_eagerly=True))
        yield
