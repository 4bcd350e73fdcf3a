"""A progress bar on stderr, where a terminal shows it."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


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
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own: workers are forked beside it
    yield from tqdm(iterable, total=total, desc=text, file=sys.stderr, dynamic_ncols=True)
