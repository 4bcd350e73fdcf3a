"""Everything that cspine raises on purpose.

::

    CspineError              a fault of ours when raised bare
    └── InputError           the call or the input is wrong; exit code 2
        ├── UsageError       a command line, option or recipe setting
        ├── StudyError       a scan on disk
        │   └── PixelError   its pixel data
        ├── GeometryError    where voxels lie
        ├── DatasetError     a data set folder and its tables
        ├── AnatomyError     a set of surfaces, or the file made of it
        ├── PackageError     a model package
        ├── TrainingError    a run, its checkpoints, its export
        └── OutputError      a place that cannot be written

A message says what is needed, what came and what to do, on one line.
"""

import errno

_WANT_OF_MEMORY = (
    "bad alloc",
    "bad_alloc",
    "cannot allocate memory",
    "failed to map segment",
    "can't start new thread",
    "out of memory",
    "resource temporarily unavailable",
)


class CspineError(Exception):
    """The root of the tree."""


class InputError(CspineError):
    """The call or the input is wrong."""


class UsageError(InputError):
    """A command line, an option or a setting is wrong."""


class StudyError(InputError):
    """A scan on disk cannot be read as a study.

    Attributes:
        code: A stable short name of the reason.
    """

    code: str = "study"


class PixelError(StudyError):
    """The pixel data of a scan cannot be decoded or cannot be Hounsfield units."""


class GeometryError(InputError):
    """A grid or an array contradicts itself, or a scan's geometry cannot be trusted."""


class DatasetError(InputError):
    """A data set folder or one of its tables is wrong."""


class AnatomyError(InputError):
    """A set of surfaces, or an anatomy file, is wrong."""


class PackageError(InputError):
    """A model package is missing, damaged or does not fit."""


class TrainingError(InputError):
    """A training run cannot start, resume or be exported."""


class OutputError(InputError):
    """A result cannot be written."""


def one_line(text: str, most: int = 200) -> str:
    """Returns text that somebody else wrote as a message may hold it: the beginning of it, on one line, in letters that print."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def is_want_of_memory(error: BaseException | None) -> bool:
    """Says whether an error, or what it came from, says that there is too little memory, whatever library says it."""
    if error is None:
        return False
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = str(error).lower()
    named = isinstance(error, RuntimeError | ImportError | OSError) and any(words in text for words in _WANT_OF_MEMORY)
    return named or is_want_of_memory(error.__cause__)
