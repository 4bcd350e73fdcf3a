"""Turns what a job wrote into what the store records, and what goes to which archive."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom.filereader import dcmread

from cspine.errors import one_line
from cspine.jobs.folders import RESULT
from cspine.jobs.job import Job, JobStatus
from cspine.node.config import Destination, Kind, Outcome
from cspine.node.store.nouns import Finished, Parcel, State
from cspine.reporting.json_result import read_result

FILES = {Kind.SR: "result_sr.dcm", Kind.SEG: "result_seg.dcm", Kind.SC: "result_sc.dcm"}
"""The file that holds an object, in the folder of a result."""

_STATES = {JobStatus.OK: State.DONE, JobStatus.REJECTED: State.REJECTED, JobStatus.FAILED: State.FAILED}
_LONGEST = 500


def finished(job: Job, folder: Path) -> Finished:
    """Returns what the store records of a job.

    Args:
        job: The job, done.
        folder: Of its result.

    Raises:
        ValueError: The result does not follow its schema.
        OSError: It cannot be read.
    """
    state = _STATES[job.status]
    if state is State.FAILED:
        return Finished(state, code=job.code, reason=one_line(job.reason or "", _LONGEST))
    result = read_result(folder / RESULT)
    overall = result["patient_overall"]
    spread = overall["range"] or {"low": None, "high": None}
    return Finished(
        state,
        probability=overall["probability"],
        low=spread["low"],
        high=spread["high"],
        threshold=overall["threshold"],
        positive=overall["positive"],
        levels=tuple(_level(level) for level in result["levels"]),
        code=job.code,
        reason=None if job.reason is None else one_line(job.reason, _LONGEST),
        warnings=tuple(one["code"] for one in (*result["reasons"], *result["study"]["warnings"])),
        package=result["model"]["name"][:128],
        package_version=result["model"]["version"][:64],
        timings=result["timings_s"],
    )


def parcels(done: Finished, folder: Path, destinations: tuple[Destination, ...]) -> Iterator[Parcel]:
    """Yields the objects that shall go to archives: those that were written, to those that ask for such a result."""
    outcome = _outcome(done)
    for kind, name in FILES.items():
        wanted = [one for one in destinations if kind in one.objects and outcome in one.send]
        if outcome is None or not wanted or not (folder / name).is_file():
            continue
        header = dcmread(folder / name, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        for destination in wanted:
            yield Parcel(destination.name, kind, str(header.SOPInstanceUID), str(header.SOPClassUID), name)


def _outcome(done: Finished) -> Outcome | None:
    if done.state is State.REJECTED:
        return Outcome.REJECTED
    if done.state is State.DONE:
        return Outcome.POSITIVE if done.positive else Outcome.NEGATIVE
    return None


def _level(level: dict[str, Any]) -> dict[str, Any]:
    spread = level["range"] or {"low": None, "high": None}
    return {name: level[name] for name in ("level", "status", "probability", "positive")} | dict(spread)
