"""What a reading process may be made to do; it finds these functions by their names."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from cspine.errors import StudyError
from cspine.jobs.scans import Scan
from tests.coded import coded_volume, study_of


def read(source: str, series_uid: str | None) -> Scan:
    """Does what the name of the source says."""
    word = Path(source).name
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "leave":
        os._exit(3)
    if word == "sleep":
        time.sleep(60)
    if word == "refuse":
        error = StudyError("Not this one.")
        error.code = "not_this_one"
        raise error
    if word == "fault":
        raise ZeroDivisionError("by zero")
    if word == "odd":
        raise _OddError(1, 2)
    return Scan(study_of(coded_volume(), name=f"{word} {series_uid}"), mark=word, seconds=1.0)


class _OddError(Exception):
    """One that cannot be sent."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")
        self.sum = np.add(one, two)
