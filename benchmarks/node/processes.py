"""Finds the processes of a node (Linux), and starts again what was killed of them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import IO

from tests.node.nodes import ROOT, environment

_END_S = 60.0


class RestartedNode:
    """A node whose supervisor is started again when it is killed."""

    def __init__(self, config_file: Path, log: Path, temporary: Path) -> None:
        """Starts it.

        Args:
            config_file: Its configuration.
            log: Where it writes what it says.
            temporary: Its folder for temporary files, by which its processes are known.
        """
        self._command = [sys.executable, "-m", "cspine", "serve", "--config", str(config_file)]
        self._environment = environment() | {"TMPDIR": str(temporary)}
        self._log: IO[bytes] = log.open("ab")
        self._process = self._start()

    def __enter__(self) -> "RestartedNode":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def keep_running(self) -> None:
        """Starts the supervisor where it was killed."""
        if self._process.poll() is not None:
            self._process = self._start()

    def processes(self) -> list[tuple[int, str]]:
        """Returns all processes with their roles."""
        return [(self._process.pid, "supervisor"), *below(self._process.pid)]

    def is_whole(self) -> bool:
        """Says whether what takes images, assesses and delivers them has begun."""
        return {"receiver", "worker", "deliverer"} <= {role for _, role in self.processes()}

    def _start(self) -> "Popen[bytes]":
        return Popen(self._command, env=self._environment, stdout=self._log, stderr=self._log, cwd=ROOT)


def below(pid: int) -> Iterator[tuple[int, str]]:
    """Yields the living processes that a process has started, and those that they have, each with its role."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                role = _role(int(child))
                if role is not None:
                    yield int(child), role
                yield from below(int(child))


def living_with(mark: str) -> Iterator[int]:
    """Yields the living processes in whose environment a text stands."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if mark.encode() in (place / "environ").read_bytes() and not _is_dead(place):
                yield int(place.name)


def _role(pid: int) -> str | None:
    """Returns what a process does; ``None`` where it has ended and nobody has asked how."""
    place = Path(f"/proc/{pid}")
    try:
        words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
        if _is_dead(place):
            return None
    except OSError:  # it is gone altogether
        return None
    return words[words.index("--role") + 1] if "--role" in words else "reader"


def _is_dead(place: Path) -> bool:
    return (place / "stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
