"""Readers that do what no reader may do."""

import os
import random
import time
from pathlib import Path

import numpy as np

from benchmarks.fuzz.subject import Subject
from cspine.errors import StudyError


def _make(folder: Path) -> None:
    (folder / "file").write_text("valid")


def _spoil(folder: Path, rng: random.Random) -> None:
    (folder / "file").write_text("spoilt")


def _is_valid(folder: Path) -> bool:
    return (folder / "file").read_text() == "valid"


def _hang(folder: Path) -> str:
    while not _is_valid(folder):
        time.sleep(0.1)
    return "read"


def _die(folder: Path) -> str:
    if not _is_valid(folder):
        os.abort()
    return "read"


def _break(folder: Path) -> str:
    if not _is_valid(folder):
        raise KeyError("odd")
    return "read"


def _ramble(folder: Path) -> str:
    if not _is_valid(folder):
        raise StudyError("one line\nand another")
    return "read"


def _refuse(folder: Path) -> str:
    if not _is_valid(folder):
        raise StudyError("one line")
    return "read"


def _fill(folder: Path) -> str:
    if not _is_valid(folder):
        np.zeros(6 << 30, np.uint8)
    return "read"


READERS = {"hangs": _hang, "dies": _die, "breaks": _break, "rambles": _ramble, "refuses": _refuse, "fills": _fill}
SUBJECTS = {name: Subject(name, _make, _spoil, read) for name, read in READERS.items()}
