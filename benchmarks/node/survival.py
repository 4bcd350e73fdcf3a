"""Kills processes of a node at random moments while studies come in, and checks what is left.

``python -m benchmarks.node.survival --studies 60 --kills 500 --seed 1`` prints the figures as JSON and ends with 1 where anything
is wrong. ``--database`` takes the URL of an empty PostgreSQL, or ``postgresql`` for one of its own. Some studies come late, some
twice, some over an association that is aborted. Every second kill waits a little for something to be in hand, and ends the
process that has it. In the end every series must have one current result, the archive each of its objects as the node has it, and
no file and no process may be left that belongs to nobody. A run that is interrupted or reaches ``--limit`` kills no more, lets the
rest of the studies come in, and checks and prints what it has.
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
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, exists, select

from benchmarks.node.interruption import interruption
from benchmarks.node.leftovers import Inspection, inspect_all, tells_of_patients
from benchmarks.node.processes import RestartedNode, living_with
from benchmarks.node.senders import WAYS, Senders
from cspine.node.config_file import read_config
from cspine.node.receiving.spool import digest_of
from cspine.node.store import DeliveryState, State, Store, open_store
from cspine.node.store.arrivals import is_queued
from cspine.node.store.queue import open_jobs
from cspine.node.store.sending import has_open_parcels
from cspine.node.store.tables import jobs, outbox
from tests.coded import write_coded_localiser, write_coded_package
from tests.node.clusters import cluster, missing
from tests.node.nodes import Series, destination, shelf, write_config, write_series

_log = logging.getLogger(__name__)

_WEIGHTS = {"supervisor": 1, "worker": 2, "reader": 3, "web": 1, "receiver": 4, "deliverer": 4}
"""How often each is killed: a worker needs some seconds to load its model, and with the supervisor all end."""

ROLES = tuple(_WEIGHTS)
"""What a node's processes do."""

_PATIENCE_S, _CLEARING_S, _DAY_S, _END_S = 600.0, 120.0, 86_400.0, 60.0
_AIMED, _LOOK_S, _SPREAD_S = 0.5, 0.05, 0.1
"""Which share of the kills waits for work, how often it looks, and how much later it strikes at most."""

_QUIET_S = 1.5
"""Long enough for a node to begin with a series while it waits whether more images come."""

_MANY = 100
"""From so many kills on each kind of process must have been killed, also at work, and some studies must have come through."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Says what happens.

    Attributes:
        studies: How many come in.
        kills: How many processes are killed.
        seed: Decides when and which.
        pause_s: Mean time between two kills, roughly.
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
        killed: How many processes were killed.
        kills: The same by role.
        at_work: How many of them had something in hand, by role.
        ways: How many studies came in which way.
        meanwhile: Series that had a result when the last process had been killed.
        seconds: How long all took.
        faults: What is wrong at the end; empty where nothing is.
        versions: How many versions were queued.
        sent_again: Objects that the archive was sent more than once, which it keeps once.
    """

    killed: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    at_work: dict[str, int] = field(default_factory=dict)
    ways: dict[str, int] = field(default_factory=dict)
    meanwhile: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    versions: int = 0
    sent_again: int = 0

    def note(self, role: str, *, at_work: bool) -> None:
        """Counts a kill."""
        self.killed += 1
        self.kills[role] = self.kills.get(role, 0) + 1
        self.at_work[role] = self.at_work.get(role, 0) + at_work

    def idle(self) -> list[str]:
        """Returns why a run of many kills shows little; empty where it shows enough."""
        if self.killed < _MANY:
            return []
        spared = sorted(role for role in ROLES if not self.kills.get(role))
        calm = sorted(role for role in ("receiver", "worker", "deliverer") if not self.at_work.get(role))
        found = [f"these were never killed: {spared}"] * bool(spared) + [f"these were never killed at work: {calm}"] * bool(calm)
        return found + ["no study had a result before the last kill; kill less often"] * (not self.meanwhile)


@dataclass(frozen=True, slots=True)
class Work:
    """Knows what the processes of a node have in hand.

    Attributes:
        store: Of the node.
        senders: What sends to it.
    """

    store: Store
    senders: Senders

    def in_hand(self) -> frozenset[str]:
        """Returns the roles that are at work; the supervisor and the web server are when any other is."""
        busy = {"receiver"} if self.senders.are_sending() else set()
        if self._is_any(jobs.c.state == State.RUNNING):
            busy |= {"worker", "reader"}
        if self._is_any((outbox.c.state == DeliveryState.WAITING) & outbox.c.owner.is_not(None)):
            busy.add("deliverer")
        return frozenset(busy | {"supervisor", "web"}) if busy else frozenset()

    def wait(self, within_s: float) -> None:
        """Waits until anything is at work, at most so long."""
        end = time.monotonic() + within_s
        while not self.in_hand() and time.monotonic() < end:
            time.sleep(_LOOK_S)

    def with_result(self) -> int:
        """Returns how many series have a result."""
        with self.store.reading() as connection:
            return len(connection.execute(select(jobs.c.series_id).where(jobs.c.state == State.DONE).distinct()).all())

    def _is_any(self, condition: ColumnElement[bool]) -> bool:
        with self.store.reading() as connection:
            return bool(connection.execute(select(exists().where(condition))).scalar())


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
        (write_series(folder / "studies" / str(number), number, fractured=number % 3 == 0), chance.choice(WAYS))
        for number in range(1, plan.studies + 1)
    ]
    survived, series = Survived(ways=dict(Counter(way for _, way in studies))), [study for study, _ in studies]
    temporary = folder / "temporary"
    temporary.mkdir()
    with shelf() as archive:
        config_file = write_config(
            folder,
            package,
            destination(archive.port),
            node={"database": plan.database},
            receiver={"quiet_s": _QUIET_S},
            worker={"attempts": 100, "lease_s": 3},
            delivery={"settle_s": 0.2},
        )
        config = read_config(config_file)
        store = open_store(config.node.database, config.node.data)
        senders = Senders(config.node.dicom.port, studies, plan.seed, min(plan.kills * plan.pause_s, plan.limit_s), enough)
        with RestartedNode(config_file, folder / "log", temporary) as node:
            survived.faults += _kill_while_studies_come(node, plan, Work(store, senders), enough, survived)
            survived.faults += _settle(store, node, series)
            inspected = _lasting(node, lambda: inspect_all(store, config, series, archive))
        store.close()
    survived.versions, survived.sent_again = inspected.versions, inspected.sent_again
    survived.faults += [*inspected.faults, *_remains(temporary), *survived.idle()]
    if tells_of_patients(folder / "log"):
        survived.faults.append("the log names a patient")
    survived.seconds = round(time.monotonic() - begin, 1)
    return survived


def _kill_while_studies_come(
    node: RestartedNode, plan: Plan, work: Work, enough: threading.Event, survived: Survived
) -> Iterator[str]:
    """Has studies come in while processes are killed; yields what cannot be gone on with."""
    if not _happens(node.is_whole, node.keep_running):
        yield f"after {_PATIENCE_S:g} s the node has not begun"
        return
    work.senders.start()
    _kill(node, plan, work, enough, survived)
    survived.meanwhile = work.with_result()
    enough.set()
    if not _happens(work.senders.are_done, node.keep_running):
        yield f"{_PATIENCE_S:g} s after the last kill not all images were taken"
    work.senders.give_up()


def _happens(reached: Callable[[], bool], meanwhile: Callable[[], None]) -> bool:
    """Waits until something is true; says whether it is."""
    end = time.monotonic() + _PATIENCE_S
    while not reached():
        meanwhile()
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _kill(node: RestartedNode, plan: Plan, work: Work, enough: threading.Event, survived: Survived) -> None:
    chance, end = random.Random(plan.seed), time.monotonic() + plan.limit_s
    while survived.killed < plan.kills and time.monotonic() < end:
        node.keep_running()
        pause_s, aimed = chance.expovariate(1 / plan.pause_s) / 2, chance.random() < _AIMED
        if enough.wait(pause_s):
            break
        if aimed:
            work.wait(2 * plan.pause_s)
            time.sleep(chance.uniform(0.0, _SPREAD_S))
        by_role, busy = {role: pid for pid, role in node.processes()}, work.in_hand()
        roles = sorted(by_role.keys() & busy if aimed else by_role) or sorted(by_role)
        if len(by_role) < 2:  # a supervisor that was just started; killed again at once, it would never start anything
            continue
        (role,) = chance.choices(roles, [_WEIGHTS[role] for role in roles])
        with suppress(ProcessLookupError):
            os.kill(by_role[role], signal.SIGKILL)
            survived.note(role, at_work=role in busy)
            if survived.killed % 50 == 0:
                _log.info("%d of %d killed, %d series have a result", survived.killed, plan.kills, work.with_result())


def _settle(store: Store, node: RestartedNode, studies: Sequence[Series]) -> list[str]:
    """Waits until every series was queued with all its images and nothing is to be done for a while.

    Where the receiver was killed often, it starts anew only after a pause, and then waits to see whether more images come.
    """
    end, quiet = time.monotonic() + _PATIENCE_S, 0
    digests = {study.uid: digest_of(tuple(str(image.SOPInstanceUID) for image in study.images())) for study in studies}
    while quiet < 10:
        node.keep_running()
        time.sleep(0.5)
        late = [uid for uid, digest in digests.items() if not is_queued(store, uid, digest)]
        quiet = 0 if late or open_jobs(store) or has_open_parcels(store) else quiet + 1
        if time.monotonic() > end:
            return [
                f"after {_PATIENCE_S:g} s {open_jobs(store)} jobs are open, parcels: {has_open_parcels(store)}, not queued: {late}"
            ]
    return []


def _lasting(node: RestartedNode, look: Callable[[], Inspection]) -> Inspection:
    """Returns what stays: what a dead process left is cleared when its successor has started, perhaps after a pause."""
    end = time.monotonic() + _CLEARING_S
    while (found := look()).faults:
        if time.monotonic() > end:
            break
        node.keep_running()
        time.sleep(1.0)
    return found


def _remains(temporary: Path) -> list[str]:
    """Returns which processes and temporary files a node leaves that has ended, and those of it that were killed before.

    Processes that are left are ended.
    """
    end = time.monotonic() + _END_S
    while (living := list(living_with(str(temporary)))) and time.monotonic() < end:
        time.sleep(0.5)
    for pid in living:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    left = sorted(path.name for path in temporary.iterdir())
    found = [f"processes are left: {living}"] * bool(living)
    return found + [f"temporary files are left: {left[:9]}"] * bool(left)


@contextmanager
def _database(named: str) -> Iterator[str]:
    """Yields a database as the configuration has it; for ``postgresql`` one that runs while the context is open."""
    reason = missing() if named == "postgresql" else None
    if reason is not None:
        raise SystemExit(f"--database postgresql {reason}.")
    with cluster() if named == "postgresql" else nullcontext(named) as url:
        yield url


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--limit", type=float, default=_DAY_S, metavar="SECONDS", help="after so long nothing more is killed")
    parser.add_argument("--database", default="sqlite", help="a URL, or postgresql for one of its own")
    parser.add_argument("--folder", type=Path, help="an empty folder, which stays; one that goes in the end if left out")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    enough = interruption()
    with tempfile.TemporaryDirectory() as name, _database(options.database) as database:
        plan = Plan(options.studies, options.kills, options.seed, options.pause, database, options.limit)
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
