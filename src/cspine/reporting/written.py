"""Tells what came of writing a result in a format."""

from collections.abc import Iterable
from dataclasses import dataclass

from cspine.results import Reason


@dataclass(frozen=True, slots=True)
class Written:
    """Holds what a format made of a result.

    Attributes:
        files: Names of the files in the folder of the case; none where the format has nothing to say.
        notes: What a reader must know of them: why there is none, or what was filled in.
    """

    files: tuple[str, ...] = ()
    notes: tuple[Reason, ...] = ()


def together(parts: Iterable[Written]) -> Written:
    """Returns several formats as one; what they all note is noted once."""
    parts = tuple(parts)
    files = tuple(file for part in parts for file in part.files)
    return Written(files, tuple(dict.fromkeys(note for part in parts for note in part.notes)))
