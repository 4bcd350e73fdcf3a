"""Processes of a node: started again when they die, gone when their supervisor is."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cspine.node.config import Config
from cspine.node.supervising import supervisor
from cspine.node.supervising.roles import RoleName
from cspine.node.supervising.supervisor import Supervisor, command_of
from tests.node.nodes import ROOT, environment, until

_CHILD = """
import os, sys, threading, time
from cspine.node.supervising.lifeline import stop_when_asked
stop = stop_when_asked()
open(os.path.join(sys.argv[1], f"{sys.argv[2]}-{os.getpid()}"), "w").close()
stop.wait(60)
open(os.path.join(sys.argv[1], f"{sys.argv[2]}-{os.getpid()}-ended"), "w").close()
"""


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has children leave a file in a folder when they start and when they end as asked."""
    monkeypatch.setattr(supervisor, "command_of", lambda role, _: [sys.executable, "-c", _CHILD, str(tmp_path), role.value])
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    return tmp_path


@pytest.fixture
def running(children: Path) -> Iterator[Supervisor]:
    made, stop = Supervisor(Config(), None), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    until(lambda: len(list(children.iterdir())) == 3, "the start")
    yield made
    stop.set()
    thread.join()


def test_a_process_that_dies_is_started_again(running: Supervisor, children: Path) -> None:
    before = running.pids()
    worker = next(pid for pid, role in before.items() if role is RoleName.WORKER)

    os.kill(worker, signal.SIGKILL)
    until(lambda: len(list(children.glob("worker-*"))) == 2, "a second worker")

    assert sorted(running.pids().values()) == ["receiver", "web", "worker"]
    assert {pid for pid in before if pid != worker} < set(running.pids())


def test_one_that_cannot_start_is_tried_with_longer_pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[str] = []

    def command(role: RoleName, _: Path | None) -> list[str]:
        started.append(role.value)
        return [sys.executable, "-c", "raise SystemExit(2)"]

    monkeypatch.setattr(supervisor, "command_of", command)
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_S", 0.6)
    made, stop = Supervisor(Config(), None), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    until(lambda: len(started) >= 9, "three starts of each")
    stop.set()
    thread.join()

    assert {child.pause_s for child in made._children} == {0.6}


def test_all_are_asked_to_end_with_the_supervisor(children: Path) -> None:
    made, stop = Supervisor(Config(), None), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    until(lambda: len(list(children.iterdir())) == 3, "the start")
    stop.set()
    thread.join()

    assert len(list(children.glob("*-ended"))) == 3


_SUPERVISOR = """
import sys, threading
from cspine.node.config import Config
from cspine.node.supervising import supervisor
supervisor.command_of = lambda role, _: [sys.executable, "-c", sys.argv[2], sys.argv[1], role.value]
supervisor.Supervisor(Config(), None).run(threading.Event())
"""


def test_all_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _SUPERVISOR, str(tmp_path), _CHILD], env=environment(), cwd=ROOT) as process:
        until(lambda: len(list(tmp_path.iterdir())) == 3, "the start")
        process.kill()
    pids = [int(path.name.split("-")[1]) for path in tmp_path.iterdir() if not path.name.endswith("ended")]

    until(lambda: len(list(tmp_path.glob("*-ended"))) == 3, "the end")
    until(lambda: not any(_lives(pid) for pid in pids), "the end of the processes")


def _lives(pid: int) -> bool:
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def test_a_role_is_a_command_of_its_own() -> None:
    command = command_of(RoleName.WORKER, Path("/etc/node.toml"))

    assert command[1:] == ["-m", "cspine", "serve", "--config", "/etc/node.toml", "--role", "worker"]
    assert "--config" not in command_of(RoleName.WORKER, None)
