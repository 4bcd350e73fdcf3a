"""Damages what earlier runs left and later ones read: results, records, journals, shares, caches."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fuzz.mutations import damaged_bytes, damaged_json, damaged_npy
from cspine.cli.report import print_summary
from cspine.cli.submit import _Kept
from cspine.datasets.cache import Cache
from cspine.jobs.folders import JobRecord, Provenance, kept
from cspine.jobs.job import Job, JobStatus, Shard
from cspine.jobs.journal import Journal
from cspine.jobs.scans import fingerprint_of
from cspine.reporting.pages.overview import write_overview
from tests.made_results import result_text

_PROVENANCE = Provenance("1.0", "ab" * 32, "cd" * 32, "balanced", None, ("json", "png"))
_FACTS: dict[str, Any] = {"model": {"name": "coded", "version": "1", "sha256": "ab" * 32}, "operating_point": "balanced"}
_FILES = ("result.json", "result.png")
_PREPARATION = {"version": 1, "spacing_mm": [1.0, 1.0, 1.0]}


def make_case(folder: Path) -> None:
    """Writes a finished case."""
    (folder / "scan").mkdir()
    (folder / "scan" / "1.dcm").write_bytes(b"one")
    case = folder / "neck"
    case.mkdir()
    (case / "result.json").write_text(result_text(read=1.0))
    (case / "result.png").write_bytes(b"")


def _finished(folder: Path) -> None:
    """Writes the record of a case with the time of its scan, which a copy changes."""
    record = JobRecord(_PROVENANCE, fingerprint_of(folder / "scan"), _FILES, ("a note",))
    (folder / "neck" / "case.json").write_text(record.to_json())


def spoil_case(folder: Path, rng: random.Random) -> None:
    """Damages the record or the result."""
    _finished(folder)
    _spoil_json(folder / "neck" / rng.choice(("case.json", "result.json")), rng)


def read_case(folder: Path) -> str:
    """Reads a case as `cspine detect --resume` does: kept with all that is recorded of it, or done again."""
    if not (folder / "neck" / "case.json").exists():
        _finished(folder)
    found = kept(folder, Job("neck", str(folder / "scan")), _PROVENANCE)
    if found is None:
        return "redone"
    with Journal(folder, _FACTS, [found]) as journal:
        pass
    print_summary(folder, journal)
    write_overview(folder)
    return "read"


def make_run(folder: Path) -> None:
    """Writes a finished batch of two studies."""
    jobs = []
    for name in ("neck1", "neck2"):
        (folder / name).mkdir()
        (folder / name / "result.json").write_text(result_text(read=1.0))
        jobs.append(Job(name, f"/scans/{name}", JobStatus.OK, 1.0, files=("result.json",)))
    with Journal(folder, _FACTS, [*jobs, Job("neck3", "/scans/neck3").failed(ValueError("odd"))]):
        pass


def spoil_run(folder: Path, rng: random.Random) -> None:
    """Damages the journal or a result."""
    _spoil_json(folder / rng.choice(("run.json", "neck1/result.json")), rng)


def read_run(folder: Path) -> str:
    """Reads a batch as the overview does."""
    write_overview(folder)
    return "read"


def make_shares(folder: Path) -> None:
    """Writes one of two shares of a batch."""
    with Journal(folder, _FACTS, [Job("neck1", "/scans/neck1", JobStatus.OK, 1.0, files=("result.json",))], Shard(1, 2)):
        pass


def spoil_share(folder: Path, rng: random.Random) -> None:
    """Damages it."""
    _spoil_json(folder / "run-1-of-2.json", rng)


def read_shares(folder: Path) -> str:
    """Reads shares as the last one to end does."""
    with Journal(folder, _FACTS, [Job("neck2", "/scans/neck2")], Shard(2, 2)):
        pass
    write_overview(folder)
    merged = {job["name"] for job in json.loads((folder / "run.json").read_text())["cases"]}
    return "read" if "neck1" in merged else "redone"


def _arrays(value: int) -> Mapping[str, NDArray[Any]]:
    return {"hu": np.full((6, 7, 8), value, np.int16), "marks": np.arange(5, dtype=np.uint8)}


def make_cache(folder: Path) -> None:
    """Writes two studies of one preparation."""
    for number in range(2):
        Cache(folder).arrays(f"study {number}", _PREPARATION, lambda number=number: _arrays(number))  # type: ignore[misc]


def spoil_cache(folder: Path, rng: random.Random) -> None:
    """Damages an entry, or puts one in the place of the other."""
    one, other = sorted((folder / "entries").iterdir())
    name = rng.choice(("facts.json", "hu.npy", "marks.npy"))
    if rng.random() < 0.2:
        (one / name).write_bytes((other / name).read_bytes())
    elif name == "facts.json":
        _spoil_json(one / name, rng)
    else:
        (one / name).write_bytes(damaged_npy((one / name).read_bytes(), rng))


def read_cache(folder: Path) -> str:
    """Checks that each study gets its own arrays, whatever happened."""
    made = list[int]()

    def make(number: int) -> Mapping[str, NDArray[Any]]:
        made.append(number)
        return _arrays(number)

    for number in range(2):
        found = Cache(folder).arrays(f"study {number}", _PREPARATION, lambda number=number: make(number))  # type: ignore[misc]
        if not all(np.array_equal(found[name], array) for name, array in _arrays(number).items()):
            raise AssertionError(f"study {number} got other arrays")
    return "redone" if made else "read"


def make_memo(folder: Path) -> None:
    """Writes two files whose content is known."""
    for name in ("one", "two"):
        (folder / name).write_text(name)


def spoil_memo(folder: Path, rng: random.Random) -> None:
    """Damages what is remembered of them."""
    _contents(folder)
    one, other = sorted((folder / "cache" / "digests").iterdir())
    if rng.random() < 0.2:
        one.write_bytes(other.read_bytes())
    else:
        _spoil_json(one, rng)


def read_memo(folder: Path) -> str:
    """Checks that two files are never taken for one another."""
    if len(set(_contents(folder))) < 2:
        raise AssertionError("two files have one content")
    return "read"


def _contents(folder: Path) -> list[str]:
    return [Cache(folder / "cache").content([folder / name]) for name in ("one", "two")]


def make_predicted(folder: Path) -> None:
    """Writes what a submission that was stopped left."""
    lines = [
        {"study": f"1.2.{number}", "model": "ab" * 32, "localiser": "cd" * 32, "probabilities": [0.5, None, *[0.1] * 6]}
        for number in range(3)
    ]
    (folder / ".submission.csv.partial").write_text("".join(json.dumps(line) + "\n" for line in lines))


def spoil_predicted(folder: Path, rng: random.Random) -> None:
    """Damages a line."""
    path = folder / ".submission.csv.partial"
    lines = path.read_bytes().splitlines()
    at = rng.randrange(len(lines))
    lines[at] = damaged_json(lines[at], rng)
    path.write_bytes(b"\n".join(lines))


def read_predicted(folder: Path) -> str:
    """Reads predictions as `cspine submit --resume` does."""
    found = _Kept(folder / "submission.csv", ("ab" * 32, "cd" * 32), resume=True).predicted
    for predicted in found.values():
        np.array([0.5 if p is None else min(max(p, 0.1), 0.9) for p in predicted])
    return "read" if len(found) == 3 else "redone"


def _spoil_json(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(damaged_json(data, rng) if rng.random() < 0.9 else damaged_bytes(data, rng))
