"""Measures a node at work: studies an hour, the time from the last image to the result, memory by process.

``python -m benchmarks.node.soak --studies 500`` sends small studies over DICOM, one by one, while a page of the list is open, and
prints the figures as JSON. Without ``--every SECONDS`` they come as fast as they are taken: that measures studies an hour, and how
long they wait in line. ``--scan FOLDER`` then sends one DICOM series of full size to an idle node with the shipped packages,
five times. It ends with 1 where a result or an object is missing, doubled or wrong, where a process grows, or where an idle node
takes more than two seconds beyond the quiet time. A run that is interrupted sends no more, waits for what it has sent, and prints
that.
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
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_context

from benchmarks.node.interruption import interruption
from benchmarks.node.processes import below
from cspine.node.config import Config
from cspine.node.config_file import read_config
from cspine.node.delivering.archive import keep_answers
from cspine.node.store import Store, open_store
from cspine.node.store.nouns import State
from cspine.node.store.scores import read_scores
from cspine.node.store.worklist import Filter, Listed, Order, worklist
from tests.coded import write_coded_localiser, write_coded_package
from tests.node.nodes import destination, serving, shelf, until, write_config, write_series

_log = logging.getLogger(__name__)

_QUIET_S = 0.3
_LOADING_S = 20.0
"""Until the worker has loaded its packages."""

_PATIENCE_S = 600.0
_PAGE_EVERY_S = 5.0
_GOAL_S = 2.0
_FEW, _GROWTH, _GROWTH_MB = 50, 1.1, 15.0
"""From so many studies on, a process grows that holds a tenth and 15 MB more at the end than after a fifth of them."""

_ROW_MB, _MOST_ROWS = 0.03, 500
"""What the web process keeps of each row of its list, which has so many rows at most."""


@dataclass
class Soaked:
    """Holds what was measured.

    Attributes:
        faults: What is wrong; empty where nothing is.
        studies: How many were sent.
        studies_an_hour: From the first image to the last result.
        median_s: Seconds from the last image to the result, less the quiet time.
        p95_s: The same for the slowest twentieth.
        memory_mb: Resident memory by process, after each tenth of the studies.
        delivered: Objects that the archive has.
        idle: What one study of full size took.
    """

    faults: list[str] = field(default_factory=list)
    studies: int = 0
    studies_an_hour: float = 0.0
    median_s: float = 0.0
    p95_s: float = 0.0
    memory_mb: dict[str, list[float]] = field(default_factory=dict)
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


def soak(folder: Path, package: Path, studies: int, enough: threading.Event, every_s: float = 0.0) -> Soaked:
    """Sends studies to a node in an empty folder and measures it.

    Args:
        folder: Where.
        package: Of the node.
        studies: How many.
        enough: From when it is set no more are sent.
        every_s: Seconds from one study to the next at least; with 0 each is sent as soon as the last one was taken.
    """
    sent = _Sent(time.time())
    with shelf() as archive:
        config_file = write_config(folder, package, destination(archive.port), worker={"lease_s": 60})
        config = read_config(config_file)
        with serving(config_file, folder / "log") as process:
            store = _ready(config)
            sent.begin = time.time()
            with _open_page(config):
                for number in range(1, studies + 1):
                    enough.wait(max(0.0, sent.begin + (number - 1) * every_s - time.time()))
                    if enough.is_set() or not _is_taken(sent, folder / "studies" / str(number), number, config):
                        break
                    if number % max(1, studies // 10) == 0:
                        sent.memory.append(_memory(process.pid))
                        _log.info("%d of %d sent, memory %s", number, studies, sent.memory[-1])
                sent.faults += _missing(store, sent.ended, archive.kept)
            sent.memory.append(_memory(process.pid))
            rows = _rows(store)
            store.close()
    return _figures(sent, rows, archive.uids())


@dataclass(slots=True)
class _Sent:
    begin: float
    ended: dict[str, float] = field(default_factory=dict)
    fractured: dict[str, bool] = field(default_factory=dict)
    memory: list[dict[str, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def _is_taken(sent: _Sent, folder: Path, number: int, config: Config) -> bool:
    """Sends one study; says whether it was taken."""
    series = write_series(folder, number, fractured=number % 3 == 0)
    try:
        sent.ended[series.uid] = _send(config.node.dicom.port, series.images())
    except RuntimeError as error:
        sent.faults.append(str(error))
        return False
    sent.fractured[series.uid] = series.fractured
    for file in series.files:
        file.unlink()
    return True


def _figures(sent: _Sent, rows: Sequence[Listed], uids: Sequence[str]) -> Soaked:
    grown = {role: [one.get(role, 0.0) for one in sent.memory] for role in sorted(sent.memory[-1])}
    faults = [*sent.faults, *wrong(rows, sent.fractured), *doubled(uids, len(sent.ended)), *growing(grown, len(sent.ended))]
    finished = {row.series_uid: row.result.finished_at for row in rows if row.result is not None and row.series_uid in sent.ended}
    waits = sorted(moment - sent.ended[uid] - _QUIET_S for uid, moment in finished.items())
    if not waits:
        return Soaked(faults, len(sent.ended), memory_mb=grown)
    return Soaked(
        faults=faults,
        studies=len(sent.ended),
        studies_an_hour=round(3600 * len(waits) / (max(finished.values()) - sent.begin), 1),
        median_s=round(statistics.median(waits), 2),
        p95_s=round(waits[min(len(waits) - 1, int(0.95 * len(waits)))], 2),
        memory_mb=grown,
        delivered=len(set(uids)),
    )


def wrong(rows: Sequence[Listed], fractured: Mapping[str, bool]) -> Iterator[str]:
    """Yields what is wrong with results: each series has one row, done, and positive exactly where it is fractured."""
    listed = Counter(row.series_uid for row in rows)
    if listed != Counter(list(fractured)):
        yield f"{len(fractured)} series were sent, the list has {listed.total()} rows of {len(listed)}"
    for row in rows:
        positive = None if row.result is None else row.result.positive
        if positive is not fractured.get(row.series_uid):
            yield f"{row.series_uid} is {row.state}, positive: {positive}"


def doubled(uids: Sequence[str], studies: int) -> Iterator[str]:
    """Yields what is wrong with an archive that must have three objects of each study, each sent once."""
    if len(set(uids)) != 3 * studies or len(uids) != len(set(uids)):
        yield f"the archive was sent {len(uids)} objects, {len(set(uids))} different ones, instead of {3 * studies}"


def growing(memory_mb: Mapping[str, Sequence[float]], studies: int) -> Iterator[str]:
    """Yields the processes that hold clearly more at the end than after a fifth of the studies, when all had been in use."""
    for role, sizes in memory_mb.items():
        early, late = sizes[min(1, len(sizes) - 1)], sizes[-1]
        listed = _ROW_MB * min(studies, _MOST_ROWS) if role == "web" else 0.0
        if studies >= _FEW and late > _GROWTH * early and late > early + _GROWTH_MB + listed:
            yield f"the {role} grew from {early:g} to {late:g} MB"


def idle(folder: Path, scan: Path, times: int) -> Idle:
    """Returns how long one series takes on an idle node with the shipped packages and quiet times, beyond the quiet time."""
    images = [dcmread(path) for path in sorted(scan.rglob("*")) if path.is_file()]
    config_file = write_config(folder, folder)
    ours = ("model", "localiser", "threads", "quiet_s", "aborted_quiet_s")
    lines = [line for line in config_file.read_text().splitlines() if not line.startswith(ours)]
    config_file.write_text("\n".join(lines) + "\n")
    config = read_config(config_file)
    waits, processor_s = [], []
    with serving(config_file, folder / "log") as process:
        store = _ready(config)
        for number in range(1, times + 1):
            for place, image in enumerate(images, 1):
                image.StudyInstanceUID, image.SeriesInstanceUID = f"1.2.7.{number}", f"1.2.7.{number}.1"
                image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.7.{number}.1.{place}"
            end, before = _send(config.node.dicom.port, images), _processor_s(process.pid)
            finished = until(partial(result_of, store, images[0].SeriesInstanceUID), "the result", _PATIENCE_S)
            processor_s.append(_processor_s(process.pid) - before)
            waits.append(finished - end - config.receiver.quiet_s)
        stages = [one.timings for one in read_scores(store)]
        store.close()
    return Idle(
        images=len(images),
        beyond_quiet_s=[round(wait, 2) for wait in waits],
        processor_s=[round(spent, 2) for spent in processor_s],
        stages_s={name: round(statistics.median(one[name] for one in stages), 2) for name in stages[0]},
    )


def _send(port: int, images: Sequence[Dataset]) -> float:
    """Sends images over one association, and returns when the last one was taken.

    Raises:
        RuntimeError: One was not.
    """
    contexts = {(image.SOPClassUID, image.file_meta.TransferSyntaxUID) for image in images}
    entity = ApplicationEntity("CT1")
    entity.dimse_timeout = entity.network_timeout = _PATIENCE_S
    association = entity.associate("127.0.0.1", port, [build_context(*one) for one in contexts], ae_title="CSPINE")
    keep_answers(association)
    answers = {int(association.send_c_store(image).get("Status", -1)) for image in images} if association.is_established else {-1}
    end = time.time()
    if association.is_established:
        association.release()
    if answers != {0}:
        raise RuntimeError(f"A series was not taken. Answers: {sorted(answers)}")
    return end


@contextmanager
def _open_page(config: Config) -> Iterator[None]:
    """Asks for the list again and again while the context is open, as open pages do."""
    closed = threading.Event()

    def ask() -> None:
        while not closed.wait(_PAGE_EVERY_S):
            with suppress(OSError), urllib.request.urlopen(f"http://{config.node.web}/", timeout=_PATIENCE_S) as answer:
                answer.read()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join()


def _missing(store: Store, sent: Mapping[str, float], kept: Sequence[Dataset]) -> list[str]:
    """Waits for all results and objects; returns what did not come."""
    for what, reached in (("results", lambda: _has_all(store, sent)), ("objects", lambda: len(kept) >= 3 * len(sent))):
        try:
            until(reached, what, _PATIENCE_S)
        except AssertionError:
            return [f"{_PATIENCE_S:g} s after the last image not all {what} were there"]
    return []


def _has_all(store: Store, sent: Mapping[str, float]) -> bool:
    time.sleep(0.5)  # the list is long
    return sent.keys() <= {row.series_uid for row in _rows(store) if row.result is not None}


def result_of(store: Store, uid: str) -> float | None:
    """Returns when the result of a series was there; ``None`` where it is still awaited.

    Raises:
        RuntimeError: There will be none.
    """
    row = next((row for row in _rows(store) if row.series_uid == uid), None)
    if row is not None and row.state is State.FAILED:
        raise RuntimeError(f"The series needs a scan that the shipped packages can classify. It failed: {row.reason}")
    return row.result.finished_at if row is not None and row.result is not None else None


def _rows(store: Store) -> tuple[Listed, ...]:
    return worklist(store, Filter(order=Order.RECEIVED, most=2000))


def _ready(config: Config) -> Store:
    until(lambda: _listens(config.node.dicom.port), "the receiver")
    time.sleep(_LOADING_S)
    return open_store(config.node.database, config.node.data)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
    parser.add_argument("--every", type=float, default=0.0, help="seconds from one study to the next, at least")
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
        soaked = Soaked()
        if options.studies:
            soaked = soak(folder / "soak", package, options.studies, interruption(), options.every)
        if options.scan is not None:
            soaked.idle = idle(folder / "idle", options.scan, options.times)
            typical = statistics.median(soaked.idle.beyond_quiet_s)
            soaked.faults += [f"an idle node took {typical:g} s beyond the quiet time, {_GOAL_S:g} at most"] * (typical > _GOAL_S)
    print(json.dumps(asdict(soaked), indent=2))
    return 1 if soaked.faults else 0


if __name__ == "__main__":
    sys.exit(_main())
