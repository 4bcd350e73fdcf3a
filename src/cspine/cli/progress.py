"""A progress bar on stderr, where a terminal looks."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_WIDTH = 28
_EVERY_S = 0.1


def progress(iterable: Iterable[T], total: int, text: str) -> Iterator[T]:
    """Hands the items on and shows how many of ``total`` are done; silent where stderr is no terminal.

    Args:
        iterable: The items.
        total: How many there are.
        text: What is done, in a word or two.
    """
    if not sys.stderr.isatty():
        yield from iterable
        return
    begin = shown = time.monotonic()
    done = 0
    _draw(text, 0, total, 0.0)
    try:
        for item in iterable:
            yield item
            done += 1
            now = time.monotonic()
            if now - shown > _EVERY_S or done == total:
                _draw(text, done, total, now - begin)
                shown = now
    finally:
        sys.stderr.write("\n")
        sys.stderr.flush()


def _draw(text: str, done: int, total: int, seconds: float) -> None:
    share = done / total if total else 1.0
    full = round(_WIDTH * share)
    left = f", {seconds / done * (total - done):.0f} s left" if 0 < done < total else f", {seconds:.0f} s"
    sys.stderr.write(f"\r{text} [{'#' * full}{'.' * (_WIDTH - full)}] {done}/{total}{left}\x1b[K")
    sys.stderr.flush()
