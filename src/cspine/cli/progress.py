"""A progress bar on stderr, where a terminal shows it."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

tqdm.monitor_interval = 0  # no thread of its own: workers are forked beside it


def progress(iterable: Iterable[T], total: int, text: str) -> Iterator[T]:
    """Hands the items on and shows how many of ``total`` are done; silent where stderr is no terminal.

    Args:
        iterable: The items.
        total: How many there are.
        text: What is done, in a word or two.
    """
    yield from tqdm(iterable, total=total, desc=text, file=sys.stderr, disable=not sys.stderr.isatty(), dynamic_ncols=True)
