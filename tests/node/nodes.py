"""Nodes for tests: a configuration with the coded packages, small series, and the peers that send and store."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_context

from cspine.anatomy import Level
from cspine.node.delivering.archive import keep_answers
from tests.coded import coded_volume, write_dicom

CANARY = "Zebedee^Quagga"
"""A name that no log may hold."""

ROOT = Path(__file__).parents[2]
_SENT = "1.2.840.10008.1.2.1"
_SPACING_MM = (5.0, 2.5, 2.5)


def free_port() -> int:
    """Returns a port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(reached: Callable[[], Any], what: str, within_s: float = 400.0) -> Any:
    """Waits until something is true, and returns it."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found = reached()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {within_s:g} s")


@dataclass(frozen=True)
class Series:
    """A series in a folder.

    Attributes:
        uid: Series Instance UID.
        files: Its images.
        fractured: Whether a result of it must be positive.
    """

    uid: str
    files: tuple[Path, ...]
    fractured: bool = False

    def images(self) -> list[Dataset]:
        """Returns the images, read."""
        return [dcmread(file) for file in self.files]


@cache
def _pixels(fractured: bool) -> Any:
    return coded_volume(fractured=[Level.C2] if fractured else [], spacing_mm=_SPACING_MM)


def write_series(folder: Path, number: int, fractured: bool = False, **attributes: Any) -> Series:
    """Writes a small series of its own study and patient."""
    write_dicom(_pixels(fractured), folder)
    uid = f"1.2.3.{number}.1"
    for file in sorted(folder.iterdir()):
        data = dcmread(file)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{data.InstanceNumber}"
        data.StudyInstanceUID, data.SeriesInstanceUID = f"1.2.3.{number}", uid
        data.PatientName, data.PatientID, data.AccessionNumber = CANARY, f"PAT{number}", f"ACC{number}"
        data.StudyDate, data.StudyTime, data.PatientBirthDate, data.PatientSex = "20260102", "030405", "19700101", "O"
        data.Manufacturer, data.ManufacturerModelName = "Blocks", "One"
        for keyword, value in attributes.items():
            setattr(data, keyword, value)
        data.save_as(file, enforce_file_format=True)
    files = sorted(folder.iterdir(), key=lambda file: int(file.stem.split("_")[1]))
    return Series(uid, tuple(files), fractured)


PATIENCE_S = 60.0


def send(
    port: int,
    images: list[Dataset],
    ae_title: str = "CT1",
    called: str = "CSPINE",
    *,
    abort: bool = False,
    patience_s: float = PATIENCE_S,
) -> list[int]:
    """Sends images over one association, and returns the answers; -1 where there was none within ``patience_s``."""
    with socket.socket() as probe:  # pynetdicom leaves a socket open where nobody listens
        if probe.connect_ex(("127.0.0.1", port)):
            return [-1]
    entity = ApplicationEntity(ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = patience_s
    contexts = [build_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID) for image in images[:1]]
    association = entity.associate("127.0.0.1", port, contexts, ae_title=called)
    connection = getattr(association.dul.socket, "socket", None)
    if not association.is_established:
        _close(connection)
        return [-1]
    keep_answers(association)
    answers = []
    for image in images:
        if not association.is_established:
            answers.append(-1)
            break
        try:
            answer = association.send_c_store(image)
        except RuntimeError:  # it was closed since
            answers.append(-1)
            break
        answers.append(int(answer.get("Status", -1)))
    if abort:
        association.abort()
    elif association.is_established:
        association.release()
    association.join(PATIENCE_S)
    _close(connection)
    return answers


def _close(connection: socket.socket | None) -> None:
    """Closes what pynetdicom leaves open where the peer was faster."""
    if connection is not None:
        connection.close()


@dataclass
class Shelf:
    """An archive that keeps in memory what it is sent, as often as it is sent.

    Attributes:
        port: Where it listens.
        kept: Objects in the order in which they came.
        answer: What it answers to each; 0 is success.
        pause_s: So long it takes over each.
        committed: Whether it reports storage commitment, and to which port.
    """

    port: int
    kept: list[Dataset] = field(default_factory=list)
    answer: int = 0
    pause_s: float = 0.0

    def uids(self) -> list[str]:
        """Returns SOP Instance UIDs of what it was sent."""
        return [str(one.SOPInstanceUID) for one in self.kept]


_RESULTS = ("1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.7")


@contextmanager
def shelf(port: int | None = None) -> Iterator[Shelf]:
    """Yields an archive that listens while the context is open."""
    kept = Shelf(free_port() if port is None else port)

    def store(event: evt.Event) -> int:
        time.sleep(kept.pause_s)
        data = event.dataset
        data.file_meta = event.file_meta
        if kept.answer == 0:
            kept.kept.append(data)
        return kept.answer

    entity = ApplicationEntity("SHELF")
    entity.require_called_aet = True
    entity.add_supported_context("1.2.840.10008.1.1")
    for sop_class in _RESULTS:
        entity.add_supported_context(sop_class, [_SENT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"])
    server = entity.start_server(("127.0.0.1", kept.port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    try:
        yield kept
    finally:
        server.shutdown()


def write_config(folder: Path, package: Path, tables: str = "", **settings: Mapping[str, Any]) -> Path:
    """Writes the configuration of a quick node with the coded packages."""
    values: dict[str, dict[str, Any]] = {
        "node": {"dicom": f"127.0.0.1:{free_port()}", "web": f"127.0.0.1:{free_port()}", "data": str(folder / "data")},
        "receiver": {"quiet_s": 0.3, "aborted_quiet_s": 1.5},
        "worker": {"model": str(package), "localiser": str(package.parent / "coded_localiser"), "threads": 1, "lease_s": 10},
        "delivery": {"settle_s": 0.0, "first_retry_s": 0.1, "longest_retry_s": 1.0, "timeout_s": 20},
        "keep": {"free_gb": 0.0},
    }
    for name, table in settings.items():
        values.setdefault(name, {}).update(table)
    lines = []
    for name, table in values.items():
        lines.append(f"[{name}]")
        lines += [
            f"{key} = {str(value).lower() if isinstance(value, bool | float | int) else repr(value)}"
            for key, value in table.items()
        ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "node.toml"
    path.write_text("\n".join(lines) + "\n" + tables)
    return path


def destination(port: int, more: str = "") -> str:
    """Returns the table of the archive of :func:`shelf`."""
    return f'[[destination]]\nname = "shelf"\nae_title = "SHELF"\naddress = "127.0.0.1:{port}"\n{more}\n'


def environment() -> dict[str, str]:
    """Returns the environment of a process that runs the code of this tree."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


@contextmanager
def serving(config: Path, log: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs ``cspine serve`` while the context is open."""
    command = [sys.executable, "-m", "cspine", "serve", "--config", str(config), *more]
    with log.open("ab") as said, subprocess.Popen(command, env=environment(), stderr=said, stdout=said, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def images_alike(one: Dataset, other: Dataset) -> bool:
    """Says whether two images have the same pixels."""
    return bool(np.array_equal(one.pixel_array, other.pixel_array))
