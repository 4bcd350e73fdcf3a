"""Takes zips of images over HTTP: they come in as if they were sent over DICOM, and are complete at once."""

import secrets
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from cspine.errors import InputError, StudyError, UsageError
from cspine.node.receiving.headers import read_identity
from cspine.node.receiving.intake import Intake
from cspine.node.receiving.spool import Spool
from cspine.node.web.services import Services

LARGEST_BYTES = 4 * 10**9
_MOST_FILES, _LARGEST_FILE = 20_000, 2 * 10**9
_SOURCE, _FOLDER, _ABANDONED_S = "upload", "uploads", 86400.0
_CHUNK = 1 << 20


class FullError(InputError):
    """There is too little room for what came."""


async def receive(services: Services, body: AsyncIterator[bytes]) -> Path:
    """Writes what comes to a file of its own.

    Args:
        services: Knows the folder and how much room must be left.
        body: What comes.

    Raises:
        FullError: There is too little room.
        UsageError: It is too large.
    """
    folder = services.folders.data / _FOLDER
    await run_in_threadpool(folder.mkdir, 0o700, True, True)
    path, size = folder / f"{secrets.token_hex(16)}.zip", 0
    try:
        with path.open("xb") as file:
            async for part in body:
                size += len(part)
                _check_size(size)
                if size % (64 * _CHUNK) < len(part):
                    await run_in_threadpool(check_room, services)
                await run_in_threadpool(file.write, part)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _check_size(size: int) -> None:
    if size > LARGEST_BYTES:
        raise UsageError(f"An upload has at most {LARGEST_BYTES} bytes. More came. Send each series alone.")


def clear_abandoned(services: Services) -> None:
    """Removes what processes that were killed left of uploads."""
    folder = services.folders.data / _FOLDER
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _ABANDONED_S:
                path.unlink()


def check_room(services: Services) -> None:
    """Checks that images may come in.

    Raises:
        FullError: There is too little room.
    """
    free, wanted = services.folders.free_gb(), services.config.keep.free_gb
    if free < wanted:
        raise FullError(f"{wanted:g} GB of free room are needed. There are {free:.1f}. Free some, or wait for retention.")


def queue_zip(services: Services, path: Path, user: str) -> tuple[int, ...]:
    """Takes in the images of a zip and queues their series; the zip is removed.

    Args:
        services: Knows spool, rules and store.
        path: The zip.
        user: Who sent it.

    Returns:
        The numbers of the jobs; of a series that came before just so there is none.

    Raises:
        UsageError: It is no zip that can be read, or holds no CT image.
    """
    services.folders.make()
    spool, source = Spool(services.folders), f"{_SOURCE} {user}"[:64]
    try:
        series = {uid: None for member in _members(path) for uid in _taken(services, spool, member)}
    finally:
        path.unlink(missing_ok=True)
    if not series:
        raise UsageError("A zip of CT images is needed. None of its files is one. Send the DICOM files of a CT series.")
    for uid in series:
        spool.note_source(uid, source, "")  # should this process end here, the receiver queues them
    intake = Intake(services.config, services.store)
    queued = [intake.queue(uid, source, "") for uid in series]
    return tuple(number for number in queued if number is not None)


def _members(path: Path) -> Iterator[Path]:
    """Yields the files of a zip one after the other, under a name of ours; it is gone when the next one is asked for."""
    part = path.with_suffix(".part")
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > _MOST_FILES:
                raise UsageError(f"A zip has at most {_MOST_FILES} files. Received: {len(members)}. Send each series alone.")
            for member in members:
                with _unpacked(archive, member, part):
                    yield part
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise UsageError("A zip that can be read is needed. This one is damaged, encrypted or packed in an unknown way.") from error


@contextmanager
def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, part: Path) -> Iterator[None]:
    try:
        size = 0
        with archive.open(member) as packed, part.open("wb") as file:
            while piece := packed.read(_CHUNK):
                size += len(piece)
                if size > _LARGEST_FILE:  # whatever its header says
                    raise UsageError(f"A file of a zip has at most {_LARGEST_FILE} bytes. One has more. Send CT images only.")
                file.write(piece)
        yield
    finally:
        part.unlink(missing_ok=True)


def _taken(services: Services, spool: Spool, file: Path) -> Iterator[str]:
    """Yields the series of an image that was put into the spool; nothing for a file that is no CT image."""
    check_room(services)
    try:
        identity = read_identity(file)
    except StudyError:
        return
    spool.put(file, identity.series_uid, identity.sop_uid)
    yield identity.series_uid
