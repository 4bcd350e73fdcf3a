"""Kills processes of a node at random moments while studies come in, and checks what is left.

``python -m benchmarks.node.survival --studies 60 --kills 500 --seed 1`` prints the figures as JSON. ``--database`` takes the URL of
an empty PostgreSQL. Some studies come late, some twice, some over an association that is aborted. At the end every series must have
one current result, the archive each of its objects, and no folder anything that belongs to nobody. A run that is interrupted or
reaches ``--limit`` kills no more, lets the rest of the studies come in, and checks and prints what it has.
"""

import argparse
import json
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import IO, Any

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import dcmread
from sqlalchemy import select

from benchmarks.node.interruption import interruption
from benchmarks.node.processes import below
from cspine.errors import InputError
from cspine.node.config import Config
from cspine.node.config_file import read_config
from cspine.node.receiving.spool import INCOMING, digest_of
from cspine.node.store import DeliveryState, State, Store, open_store
from cspine.node.store.arrivals import is_queued
from cspine.node.store.queue import open_jobs
from cspine.node.store.sending import has_open_parcels
from cspine.node.store.tables import jobs, outbox, series
from cspine.node.working.outcome import FILES
from cspine.reporting.json_result import read_result
from tests.coded import write_coded_localiser, write_coded_package
from tests.node.nodes import ROOT, Series, Shelf, destination, environment, send, shelf, write_config, write_series

_log = logging.getLogger(__name__)

_WAYS = ("plain", "plain", "plain", "late", "twice", "aborted")
_WEIGHTS = {"supervisor": 1, "worker": 2, "reader": 3, "web": 1, "receiver": 4, "deliverer": 4}
"""How often each is killed: a worker needs some seconds to load its model, and with the supervisor all end."""

_PATIENCE_S, _CLEARING_S, _DAY_S = 600.0, 120.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Says what happens.

    Attributes:
        studies: How many come in.
        kills: How many processes are killed.
        seed: Decides when and which.
        pause_s: Mean time between two kills.
        database: As the configuration has it.
        limit_s: After so long nothing more is killed.
    """

    studies: int
    kills: int
    seed: int = 1
    pause_s: float = 2.0
    database: str = "sqlite"
    limit_s: float = _DAY_S


@dataclass
class Survived:
    """Holds what happened.

    Attributes:
        kills: Killed processes by role.
        meanwhile: Series that had a result when the last process had been killed.
        seconds: How long all took.
        faults: What is wrong at the end; empty where nothing is.
        versions: How many versions were queued.
        sent_again: Objects that the archive was sent more than once, which it keeps once.
    """

    kills: dict[str, int] = field(default_factory=dict)
    meanwhile: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    versions: int = 0
    sent_again: int = 0


def survive(plan: Plan, folder: Path, package: Path, enough: threading.Event | None = None) -> Survived:
    """Runs a plan in an empty folder with the package of :mod:`tests.coded`, and returns what came of it.

    Args:
        plan: What happens.
        folder: Where.
        package: Of the node.
        enough: From when it is set nothing more is killed, and the studies that are left come in at once.
    """
    begin, chance, enough = time.monotonic(), random.Random(plan.seed), enough or threading.Event()
    studies = [
        (write_series(folder / "studies" / str(number), number, fractured=number % 3 == 0), chance.choice(_WAYS))
        for number in range(1, plan.studies + 1)
    ]
    with shelf() as archive:
        config_file = write_config(
            folder,
            package,
            destination(archive.port),
            node={"database": plan.database},
            worker={"attempts": 100, "lease_s": 3},
            delivery={"settle_s": 0.2},
        )
        config = read_config(config_file)
        with Prey(config_file, folder / "log") as prey:
            senders = [
                threading.Thread(
                    target=_send_all, args=(config.node.dicom.port, studies[start::2], plan, start, enough), daemon=True
                )
                for start in range(2)
            ]
            for sender in senders:
                sender.start()
            store = open_store(config.node.database, config.node.data)
            killed = _kill(prey, plan, chance, store, enough)
            survived = Survived(killed, _with_result(store))
            enough.set()
            while any(sender.is_alive() for sender in senders):
                prey.keep_running()
                time.sleep(0.2)
            survived.faults += _settle(store, prey, [one for one, _ in studies])
            survived.faults += _lasting(prey, lambda: list(faults(store, config, [one for one, _ in studies], archive, survived)))
            store.close()
    survived.seconds = round(time.monotonic() - begin, 1)
    return survived


class Prey:
    """A node whose supervisor is started again when it is killed."""

    def __init__(self, config_file: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "cspine", "serve", "--config", str(config_file)]
        self._log: IO[bytes] = log.open("ab")
        self._process = self._start()

    def __enter__(self) -> "Prey":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def keep_running(self) -> None:
        """Starts the supervisor where it was killed."""
        if self._process.poll() is not None:
            self._process = self._start()

    def processes(self) -> list[tuple[int, str]]:
        """Returns all processes with their roles."""
        return [(self._process.pid, "supervisor"), *below(self._process.pid)]

    def _start(self) -> "Popen[bytes]":
        return Popen(self._command, env=environment(), stdout=self._log, stderr=self._log, cwd=ROOT)


def _kill(prey: Prey, plan: Plan, chance: random.Random, store: Store, enough: threading.Event) -> dict[str, int]:
    killed: Counter[str] = Counter()
    while not {"receiver", "worker", "deliverer"} <= {role for _, role in prey.processes()}:
        time.sleep(0.2)
    end = time.monotonic() + plan.limit_s
    while killed.total() < plan.kills and time.monotonic() < end:
        prey.keep_running()
        if enough.wait(chance.expovariate(1 / plan.pause_s)):
            break
        by_role = {role: pid for pid, role in prey.processes()}
        roles = sorted(by_role)
        if len(roles) < 2:  # a supervisor that was just started; killed again at once, it would never start anything
            continue
        (role,) = chance.choices(roles, [_WEIGHTS[role] for role in roles])
        with suppress(ProcessLookupError):
            os.kill(by_role[role], signal.SIGKILL)
            killed[role] += 1
            if killed.total() % 50 == 0:
                _log.info("%d of %d killed, %d series have a result", killed.total(), plan.kills, _with_result(store))
    return dict(killed)


def _with_result(store: Store) -> int:
    with store.reading() as connection:
        return len(connection.execute(select(jobs.c.series_id).where(jobs.c.state == State.DONE).distinct()).all())


def _send_all(port: int, studies: Sequence[tuple[Series, str]], plan: Plan, number: int, enough: threading.Event) -> None:
    """Sends studies, spread over the time in which processes are killed."""
    chance, time_s = random.Random(f"{plan.seed} {number}"), min(plan.kills * plan.pause_s, plan.limit_s)
    for study, way in studies:
        enough.wait(chance.uniform(0.0, 1.5 * time_s / len(studies)))
        images = study.images()
        cut = chance.randrange(1, len(images))
        if way == "late":
            _send_surely(port, images[:cut])
            time.sleep(chance.uniform(0.5, 5.0))
            _send_surely(port, images[cut:])
            continue
        if way == "aborted":
            send(port, images[:cut], abort=True)
        for _ in range(2 if way == "twice" else 1):
            _send_surely(port, images)


def _send_surely(port: int, images: Sequence[Dataset]) -> None:
    """Sends images again and again until each was taken, as scanners do."""
    left = list(images)
    while left:
        answers = send(port, left)
        left = [image for image, answer in zip(left, [*answers, *[-1] * len(left)], strict=False) if answer != 0]
        if left:
            time.sleep(0.3)


def _settle(store: Store, prey: Prey, studies: Sequence[Series]) -> list[str]:
    """Waits until every series was queued with all its images and nothing is to be done for a while.

    Where the receiver was killed often, it starts anew only after a pause, and then waits to see whether more images come.
    """
    end, quiet = time.monotonic() + _PATIENCE_S, 0
    digests = {study.uid: digest_of(tuple(str(image.SOPInstanceUID) for image in study.images())) for study in studies}
    while quiet < 10:
        prey.keep_running()
        time.sleep(0.5)
        late = [uid for uid, digest in digests.items() if not is_queued(store, uid, digest)]
        quiet = 0 if late or open_jobs(store) or has_open_parcels(store) else quiet + 1
        if time.monotonic() > end:
            return [
                f"after {_PATIENCE_S:g} s {open_jobs(store)} jobs are open, parcels: {has_open_parcels(store)}, not queued: {late}"
            ]
    return []


def _lasting(prey: Prey, look: Callable[[], list[str]]) -> list[str]:
    """Returns the faults that stay: what a dead process left is cleared when its successor has started, perhaps after a pause."""
    end = time.monotonic() + _CLEARING_S
    while found := look():
        if time.monotonic() > end:
            break
        prey.keep_running()
        time.sleep(1.0)
    return found


def faults(store: Store, config: Config, studies: Sequence[Series], archive: Shelf, survived: Survived) -> Iterator[str]:
    """Yields a sentence for each thing that is wrong."""
    with store.reading() as connection:
        versions = connection.execute(select(jobs, series.c.series_uid).join(series)).all()
        parcels = connection.execute(select(outbox)).all()
    survived.versions = len(versions)
    kept = Counter(archive.uids())
    survived.sent_again = sum(number - 1 for number in kept.values())
    current = {row.series_uid: row for row in versions if row.state == State.DONE}
    if Counter(row.series_uid for row in versions if row.state == State.DONE) != Counter(one.uid for one in studies):
        yield f"not one current result for each series: {Counter(row.state for row in versions)}"
    for study in studies:
        row = current.get(study.uid)
        if row is not None and row.images != len(study.files):
            yield f"the result of {study.uid} is of {row.images} images instead of {len(study.files)}"
        sent = [one for one in parcels if row is not None and one.job_id == row.id]
        if sorted(one.kind for one in sent) != ["sc", "seg", "sr"] or {one.state for one in sent} != {DeliveryState.DELIVERED}:
            yield f"the outbox of {study.uid} holds {[(one.kind, one.state) for one in sent]}"
        if not {one.sop_uid for one in sent} <= set(kept):
            yield f"the archive lacks objects of {study.uid}"
    strangers = set(kept) - {one.sop_uid for one in parcels}
    if strangers:
        yield f"the archive has {len(strangers)} objects that nobody sent"
    yield from _orphans(config.node.data, versions)
    yield from _spooled(config.node.data, studies)
    yield from _halves(config.node.data, [row.key for row in current.values()], {one.sop_uid for one in parcels})


def _orphans(data: Path, versions: Sequence[Any]) -> Iterator[str]:
    predicted = {row.key for row in versions if row.package}  # one or two images of a study that comes in parts have no result
    wanted = {"scans": {row.key for row in versions}, "results": predicted}
    for name, keys in wanted.items():
        found = {path.name for path in (data / name).iterdir()}
        if found != keys:
            lost = [(row.key, row.state, row.code, row.attempts) for row in versions if row.key in keys - found]
            yield f"{name} has {sorted(found - keys)} too much and lacks {lost}"
    left = [
        path for path in data.rglob("*") if ".unfinished" in path.name or path.parent.name == ".incoming" or path.suffix == ".part"
    ]
    if left:
        yield f"half-written files are left: {[str(path.relative_to(data)) for path in left]}"


def _spooled(data: Path, studies: Sequence[Series]) -> Iterator[str]:
    """Yields what the spool lacks of the images that were sent, or holds beside them."""
    wanted = {study.uid: {f"{image.SOPInstanceUID}.dcm" for image in study.images()} | {".source.json"} for study in studies}
    found = {
        folder.name: {file.name for file in folder.iterdir()} for folder in (data / "spool").iterdir() if folder.name != INCOMING
    }
    if found != wanted:
        yield f"the spool differs for {sorted(uid for uid in found.keys() | wanted.keys() if found.get(uid) != wanted.get(uid))}"


def _halves(data: Path, keys: Sequence[str], sent: set[str]) -> Iterator[str]:
    """Yields results that are not there with all of their files, each whole."""
    for key in keys:
        folder = data / "results" / key
        try:
            read_result(folder / "result.json")
            json.loads((folder / "result_fhir.json").read_text(encoding="utf-8"))
            whole = (folder / "result.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
            uids = {str(dcmread(folder / name).SOPInstanceUID) for name in FILES.values()}
        except (OSError, EOFError, ValueError, AttributeError, InputError, InvalidDicomError) as error:
            yield f"the result {key} cannot be read: {error}"
            continue
        if not whole or not uids <= sent:
            yield f"the result {key} is not the one that was sent"


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--limit", type=float, default=_DAY_S, metavar="SECONDS", help="after so long nothing more is killed")
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--folder", type=Path, help="an empty folder, which stays; one that goes in the end if left out")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    plan = Plan(options.studies, options.kills, options.seed, options.pause, options.database, options.limit)
    enough = interruption()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        (folder / "network").mkdir(parents=True)
        write_coded_localiser(folder / "packages" / "coded_localiser", folder / "network")
        package = write_coded_package(folder / "packages" / "coded", folder / "network")
        survived = survive(plan, folder, package, enough)
        if survived.faults:
            sys.stderr.write((folder / "log").read_text(errors="replace")[-20_000:])
    print(json.dumps({"plan": asdict(plan), **asdict(survived)}, indent=2))
    return 1 if survived.faults else 0


if __name__ == "__main__":
    sys.exit(_main())
