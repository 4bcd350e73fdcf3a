"""Functions that a reading process is made to run; it finds them by their names."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from cspine.concurrency.handover import room
from cspine.errors import StudyError
from cspine.jobs.scans import Scan
from cspine.volume import Volume
from tests.coded import coded_volume, study_of


def read(source: str, series_uid: str | None) -> Scan:
    """Does what the name of the source says."""
    word = Path(source).name
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "leave":
        os._exit(3)
    if word == "orphan":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
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
    if word == "shared":
        volume = coded_volume()
        hu = room(volume.hu.shape)
        hu[:] = volume.hu
        return Scan(study_of(Volume(hu, volume.grid)), mark=word, seconds=1.0)
    if word == "large":
        room((1 << 20, 1 << 12))
    return Scan(study_of(coded_volume(), name=f"{word} {series_uid}"), mark=word, seconds=1.0)


class _OddError(Exception):
    """One that cannot be sent."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")
        self.sum = np.add(one, two)
