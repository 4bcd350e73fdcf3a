"""Starts the processes of a node, starts again what ends, and takes all of them down with itself."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cspine.node.config import Config
from cspine.node.supervising.lifeline import GRACE_S, SUPERVISED
from cspine.node.supervising.roles import RoleName

_POLL_S, _FIRST_PAUSE_S, _LONGEST_PAUSE_S, _SOUND_S = 0.1, 0.25, 30.0, 30.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Child:
    role: RoleName
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    due: float = 0.0
    pause_s: float = _FIRST_PAUSE_S


class Supervisor:
    """Keeps the processes of a node running."""

    def __init__(self, config: Config, config_file: Path | None) -> None:
        """Says what there is to run.

        Args:
            config: The configuration.
            config_file: Where it stands; the defaults if ``None``.
        """
        roles = [RoleName.RECEIVER, *[RoleName.WORKER] * config.worker.count, RoleName.WEB]
        roles += [RoleName.DELIVERER] * bool(config.destinations)
        self._children = [_Child(role) for role in roles]
        self._config_file = config_file

    def run(self, stop: threading.Event) -> None:
        """Runs all processes until it shall stop, then ends them."""
        try:
            while not stop.is_set():
                self._look_after()
                stop.wait(_POLL_S)
        finally:
            self._end()

    def pids(self) -> dict[int, RoleName]:
        """Returns the processes that run."""
        return {child.process.pid: child.role for child in self._children if child.process is not None}

    def _look_after(self) -> None:
        for child in self._children:
            now = time.monotonic()
            if child.process is not None and child.process.poll() is not None:
                _log.error("the %s ended with code %d and is started again", child.role.value, child.process.returncode)
                _close(child.process)
                sound = now - child.began >= _SOUND_S
                child.pause_s = _FIRST_PAUSE_S if sound else min(2 * child.pause_s, _LONGEST_PAUSE_S)
                child.process, child.due = None, now + child.pause_s
            if child.process is None and now >= child.due:
                child.process, child.began = self._start(child.role), now

    def _start(self, role: RoleName) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command_of(role, self._config_file), stdin=subprocess.PIPE, env={**os.environ, SUPERVISED: "1"})

    def _end(self) -> None:
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            _close(process)  # which ends it, as a signal would
        until = time.monotonic() + GRACE_S + 5.0
        for process in running:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def command_of(role: RoleName, config_file: Path | None) -> Sequence[str]:
    """Returns the command that runs a role by itself."""
    config = [] if config_file is None else ["--config", str(config_file)]
    return [sys.executable, "-m", "cspine", "serve", *config, "--role", role.value]


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
