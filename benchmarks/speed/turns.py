"""Runs states of cspine in turns, each in a process of its own that does its work on each request."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Round = dict[str, Any]
"""What one turn of a state found, by name."""


def in_turns(module: str, arguments: Sequence[str], sources: Mapping[str, Path], count: int) -> dict[str, list[Round]]:
    """Returns some rounds of each ``src`` folder, in turns, after one of each that does not count.

    Args:
        module: Of the benchmarks; run as a program, it calls :func:`when_told`.
        arguments: What it is given.
        sources: Folders by the names of the states.
        count: How many rounds.
    """
    states = {name: _started(module, arguments, source) for name, source in sources.items()}
    found: dict[str, list[Round]] = {name: [] for name in sources}
    for _ in range(count + 1):
        for name, state in states.items():
            found[name].append(_asked(state))
    for state in states.values():
        state.communicate()
    return {name: own[1:] for name, own in found.items()}


def when_told(work: Callable[[], Round]) -> None:
    """Works once for each line that comes in, and answers with what was found."""
    for _ in sys.stdin:
        print(json.dumps(work()), flush=True)


def _started(module: str, arguments: Sequence[str], source: Path) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(source), str(Path(__file__).parents[2])))}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _asked(state: "subprocess.Popen[str]") -> Round:
    if state.stdin is None or state.stdout is None:
        raise RuntimeError("A state needs pipes.")
    state.stdin.write("\n")
    state.stdin.flush()
    answer: Round = json.loads(state.stdout.readline())
    return answer
