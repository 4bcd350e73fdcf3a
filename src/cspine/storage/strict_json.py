"""The one reader of JSON: of a stated size and depth, every key once, numbers that are numbers.

What comes from a disk may be damaged, or made to harm. Python's own reader takes ``NaN``, keeps the last of two equal keys, and
leaves numbers beyond any machine, lone surrogates and a depth of hundreds to trip the code that uses them.
"""

import json
import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

LARGEST_BYTES = 256 << 20
"""No file of cspine comes near: the journal of a hundred thousand studies has 60 MB."""

DEEPEST = 64
"""Objects and lists within one another."""

_MOST_DIGITS = 19
"""Whole numbers of more digits do not fit into 64 bits."""

_LONE = range(0xD800, 0xE000)
"""Surrogates, which no text holds one by one."""

_ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""Those of them by which Python writes a byte of a file name that is not UTF-8."""


class JsonError(ValueError):
    """Says that what was read is no JSON, or none of the kind that cspine reads, and what is wrong."""


def read_json(path: Path, *, with_nan: bool = False) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        with_nan: Whether ``NaN`` and infinities are numbers here, as in the log of a training run.

    Raises:
        JsonError: It holds something else, or is too large.
        OSError: It cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise JsonError("it is not a file")
    if status.st_size > LARGEST_BYTES:
        raise JsonError(f"it has {status.st_size} bytes, and at most {LARGEST_BYTES} are allowed")
    return parse_json(path.read_bytes(), with_nan=with_nan)


def parse_json(text: str | bytes, *, with_nan: bool = False) -> Any:
    """Reads the text of a JSON file, UTF-8 if it is bytes; bytes of file names that are not UTF-8 stay as Python escapes them.

    Args:
        text: The text.
        with_nan: As for :func:`read_json`.

    Raises:
        JsonError: It is something else.
    """
    if isinstance(text, bytes):
        text = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="surrogateescape")
    constant = float if with_nan else _refuse_constant
    try:
        data = json.loads(text, object_pairs_hook=_object, parse_int=_whole, parse_constant=constant)
    except JsonError:
        raise
    except RecursionError:
        raise JsonError(f"it has more than {DEEPEST} objects and lists within one another") from None
    except ValueError as error:
        raise JsonError(f"it is not JSON: {error}") from None
    for value, depth in _all_in(data):
        if depth >= DEEPEST and isinstance(value, dict | list):
            raise JsonError(f"it has more than {DEEPEST} objects and lists within one another")
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float) and not with_nan and not math.isfinite(value):
            raise JsonError("it holds a number that is too large")
    return data


def _all_in(data: Any) -> Iterator[tuple[Any, int]]:
    """Yields every value and key, with the number of objects and lists that it lies in."""
    left = [(data, 0)]
    while left:
        value, depth = left.pop()
        yield value, depth
        if isinstance(value, dict):
            left += [(part, depth + 1) for part in (*value, *value.values())]
        elif isinstance(value, list):
            left += [(part, depth + 1) for part in value]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise JsonError(f"it has the key {next(name for name in names if names.count(name) > 1)!a:.60} twice")
    return found


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > _MOST_DIGITS:
        raise JsonError(f"it holds an integer of {len(digits.lstrip('-'))} digits, and at most {_MOST_DIGITS} are allowed")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"it holds {name}, which is not a number")


def _check_text(value: str) -> None:
    if "\0" in value:
        raise JsonError("it holds a text with a NUL character")
    if not value.isascii() and any(ord(letter) in _LONE and ord(letter) not in _ESCAPED_BYTES for letter in value):
        raise JsonError("it holds a text with a lone surrogate (half of a character)")
