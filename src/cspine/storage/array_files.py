"""The one reader of arrays by name (``.npz``): sizes are checked before anything is unpacked, and damage has one name."""

import math
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

LARGEST_BYTES = 16 << 30
"""What the arrays of one file may take, unless a caller knows better: checkpoints of the largest network have a twentieth."""

_MOST_MEMBERS = 100_000

_DAMAGES = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, ArithmeticError, MemoryError, RuntimeError),
    *(SyntaxError, TokenError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What ``zipfile``, ``zlib`` and numpy raise over damaged files; an encrypted or oddly packed member is a RuntimeError, and the
head of an array is parsed as Python."""


class ArrayFileError(ValueError):
    """A file of arrays is damaged, or of another kind; the message says what is wrong."""


def read_arrays(
    file: Path | BytesIO, names: Collection[str] | None = None, most_bytes: int = LARGEST_BYTES
) -> dict[str, NDArray[Any]]:
    """Reads the arrays of a ``.npz`` file; none of Python objects.

    Args:
        file: The file, or what was read of it.
        names: Which arrays; all if ``None``.
        most_bytes: What they may take.

    Raises:
        FileNotFoundError: It is not there.
        ArrayFileError: It is damaged, lacks an array, or is too large.
    """
    if isinstance(file, Path) and not stat.S_ISREG(file.stat().st_mode):
        raise ArrayFileError("it is not a file")
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, names, most_bytes)
            return {name: _array(archive, member) for name, member in members.items()}
    except ArrayFileError:
        raise
    except _DAMAGES as error:
        raise ArrayFileError(f"it is damaged ({' '.join(str(error).split()):.120})") from error


def map_array(path: Path) -> NDArray[Any]:
    """Maps the array of a ``.npy`` file, read-only.

    Raises:
        FileNotFoundError: It is not there.
        ArrayFileError: It is damaged, or holds Python objects.
    """
    try:
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except _DAMAGES as error:
        raise ArrayFileError(f"it is damaged ({' '.join(str(error).split()):.120})") from error
    return mapped


def _members(archive: zipfile.ZipFile, names: Collection[str] | None, most_bytes: int) -> dict[str, zipfile.ZipInfo]:
    listed = archive.infolist()
    if len(listed) > _MOST_MEMBERS:
        raise ArrayFileError(f"it has {len(listed)} arrays, and at most {_MOST_MEMBERS} are allowed")
    there = {member.filename.removesuffix(".npy"): member for member in listed}
    if len(there) < len(listed):
        raise ArrayFileError("it has two arrays of one name")
    missing = sorted(set(names or ()) - set(there))
    if missing:
        raise ArrayFileError(f"it lacks {', '.join(missing[:5])}")
    wanted = there if names is None else {name: there[name] for name in names}
    size = sum(member.file_size for member in wanted.values())
    if size > most_bytes:
        raise ArrayFileError(f"its arrays take {size} bytes, and at most {most_bytes} are allowed")
    return wanted


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize > member.file_size or min(shape, default=0) < 0:
            raise ArrayFileError(f"{member.filename} says that it has the shape {shape} of {dtype}, which it does not hold")
    with archive.open(member) as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
        if stream.read(1):  # only what is read to its end is compared with its checksum
            raise ArrayFileError(f"{member.filename} has more than an array")
        return array


def _header(stream: BinaryIO | Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ArrayFileError(f"its arrays are of version {version}, and 1 and 2 are known")
    shape, _, dtype = npy.read_array_header_1_0(stream) if version == (1, 0) else npy.read_array_header_2_0(stream)
    return shape, dtype
