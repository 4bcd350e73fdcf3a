"""A kind of file that may come damaged."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of file.

    Attributes:
        name: What it is called.
        make: Writes valid files into a folder.
        spoil: Damages a copy of them.
        read: Reads them as cspine does: ``read``, or ``redone`` where it does the work again as is documented; refusals raise.
        share: How many inputs it gets, beside the others: slow ones get fewer.
    """

    name: str
    make: Callable[[Path], None]
    spoil: Callable[[Path, random.Random], None]
    read: Callable[[Path], str]
    share: float = 1.0
