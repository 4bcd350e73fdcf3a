"""Measures the seconds of each stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Times the stages of one study.

    Attributes:
        seconds: By stage, in their order.
    """

    seconds: dict[str, float]

    def __init__(self) -> None:
        self.seconds = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time within it to a stage, which may go on later."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begin, 4)
