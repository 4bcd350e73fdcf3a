"""Measures a node at work: studies an hour, the time from the last image to the result, memory by process.

``python -m benchmarks.node.soak --studies 500`` sends small studies over DICOM, one by one, and prints the figures as JSON.
``--scan FOLDER`` then sends one DICOM series of full size to an idle node with the shipped packages, five times. A run that is
interrupted sends no more, waits for what it has sent, and prints that.
"""

import argparse
import json
import logging
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from pydicom.filereader import dcmread

from benchmarks.node.interruption import interruption
from benchmarks.node.processes import below
from cspine.node.config import Config
from cspine.node.config_file import read_config
from cspine.node.store import Store, open_store
from cspine.node.store.scores import read_scores
from cspine.node.store.worklist import Filter, Order, worklist
from tests.coded import write_coded_localiser, write_coded_package
from tests.node.nodes import destination, send, serving, shelf, until, write_config, write_series

_log = logging.getLogger(__name__)

_QUIET_S = 0.3
_LOADING_S = 20.0
"""Until the worker has loaded its packages."""

_PATIENCE_S = 600.0


@dataclass
class Soaked:
    """Holds what was measured.

    Attributes:
        studies: How many were sent.
        studies_an_hour: From the first image to the last result.
        median_s: Seconds from the last image to the result, less the quiet time.
        p95_s: The same for the slowest twentieth.
        memory_mb: Resident memory by process, after a tenth of the studies and at the end.
        delivered: Objects that the archive has.
        idle: What one study of full size took.
    """

    studies: int = 0
    studies_an_hour: float = 0.0
    median_s: float = 0.0
    p95_s: float = 0.0
    memory_mb: dict[str, tuple[float, float]] = field(default_factory=dict)
    delivered: int = 0
    idle: "Idle | None" = None


@dataclass(frozen=True, slots=True)
class Idle:
    """Holds what a series of full size took that came to an idle node, each time.

    Attributes:
        images: How many it has.
        beyond_quiet_s: Seconds from the last image to the result, less the quiet time.
        processor_s: Processor seconds of all processes meanwhile.
        stages_s: Median seconds by stage.
    """

    images: int
    beyond_quiet_s: list[float]
    processor_s: list[float]
    stages_s: dict[str, float]


def soak(folder: Path, package: Path, studies: int, enough: threading.Event) -> Soaked:
    """Sends studies to a node in an empty folder and measures it.

    Args:
        folder: Where.
        package: Of the node.
        studies: How many.
        enough: From when it is set no more are sent.
    """
    with shelf() as archive:
        config_file = write_config(folder, package, destination(archive.port), worker={"lease_s": 60})
        config = read_config(config_file)
        with serving(config_file, folder / "log") as process:
            store = _ready(config)
            begin, ended, early = time.time(), {}, {}
            for number in range(1, studies + 1):
                series = write_series(folder / "studies" / str(number), number, fractured=number % 3 == 0)
                if set(send(config.node.dicom.port, series.images())) != {0}:
                    raise RuntimeError("A study was not taken.")
                ended[series.uid] = time.time()
                for file in series.files:
                    file.unlink()
                if number == max(1, studies // 10):
                    early = _memory(process.pid)
                if number % 50 == 0:
                    _log.info("%d of %d sent, memory %s", number, studies, _memory(process.pid))
                if enough.is_set():
                    break
            studies = len(ended)
            until(lambda: len(_finished(store, studies)) == studies, "the last result", _PATIENCE_S)
            finished = _finished(store, studies)
            until(lambda: len(archive.kept) == 3 * studies, "the last delivery", _PATIENCE_S)
            late = _memory(process.pid)
            store.close()
    waits = sorted(finished[uid] - ended[uid] - _QUIET_S for uid in ended)
    return Soaked(
        studies=studies,
        studies_an_hour=round(3600 * studies / (max(finished.values()) - begin), 1),
        median_s=round(statistics.median(waits), 2),
        p95_s=round(waits[min(len(waits) - 1, int(0.95 * len(waits)))], 2),
        memory_mb={role: (early.get(role, 0.0), size) for role, size in sorted(late.items())},
        delivered=len(set(archive.uids())),
    )


def idle(folder: Path, scan: Path, times: int) -> Idle:
    """Returns how long one series takes on an idle node with the shipped packages, beyond the quiet time."""
    images = [dcmread(path) for path in sorted(scan.rglob("*")) if path.is_file()]
    config_file = write_config(folder, folder)
    lines = [line for line in config_file.read_text().splitlines() if not line.startswith(("model", "localiser", "threads"))]
    config_file.write_text("\n".join(lines) + "\n")
    config = read_config(config_file)
    waits, processor_s = [], []
    with serving(config_file, folder / "log") as process:
        store = _ready(config)
        for number in range(1, times + 1):
            for image in images:
                image.StudyInstanceUID, image.SeriesInstanceUID = f"1.2.7.{number}", f"1.2.7.{number}.1"
                image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.7.{number}.1.{image.InstanceNumber}"
            if set(send(config.node.dicom.port, images)) != {0}:
                raise RuntimeError("The series was not taken.")
            end, before = time.time(), _processor_s(process.pid)
            finished = until(partial(_result_of, store, images[0].SeriesInstanceUID), "the result", _PATIENCE_S)
            processor_s.append(_processor_s(process.pid) - before)
            waits.append(finished - end - _QUIET_S)
        stages = [one.timings for one in read_scores(store)]
        store.close()
    return Idle(
        images=len(images),
        beyond_quiet_s=[round(wait, 2) for wait in waits],
        processor_s=[round(spent, 2) for spent in processor_s],
        stages_s={name: round(statistics.median(one[name] for one in stages), 2) for name in stages[0]},
    )


def _result_of(store: Store, uid: str) -> float | None:
    return _finished(store, 2000).get(uid)


def _ready(config: Config) -> Store:
    until(lambda: _listens(config.node.dicom.port), "the receiver")
    time.sleep(_LOADING_S)
    return open_store(config.node.database, config.node.data)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _finished(store: Store, most: int) -> dict[str, float]:
    rows = worklist(store, Filter(order=Order.RECEIVED, most=most))
    return {row.series_uid: row.result.finished_at for row in rows if row.result is not None}


def _memory(pid: int) -> dict[str, float]:
    """Returns the resident memory of all processes by role, in units of 10⁶ bytes."""
    found: dict[str, float] = defaultdict(float)
    for child, role in [(pid, "supervisor"), *below(pid)]:
        for line in _status(child):
            if line.startswith("VmRSS"):
                found[role] += round(int(line.split()[1]) * 1024 / 1e6, 1)
    return dict(found)


def _processor_s(pid: int) -> float:
    """Returns the processor seconds that a node has spent, those of processes that have ended included."""
    ticks = 0
    for child in [pid, *(number for number, _ in below(pid))]:
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _status(pid: int) -> Iterator[str]:
    with suppress(OSError):
        yield from Path(f"/proc/{pid}/status").read_text().splitlines()


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--times", type=int, default=5, help="how often the scan is sent")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "network").mkdir()
        write_coded_localiser(folder / "packages" / "coded_localiser", folder / "network")
        package = write_coded_package(folder / "packages" / "coded", folder / "network")
        soaked = soak(folder / "soak", package, options.studies, interruption()) if options.studies else Soaked()
        if options.scan is not None:
            soaked.idle = idle(folder / "idle", options.scan, options.times)
    print(json.dumps(asdict(soaked), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
