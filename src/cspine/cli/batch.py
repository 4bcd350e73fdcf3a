"""A batch of studies on disk: which cases there are, a folder for each, whole or not at all, and a journal of all."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import cspine
from cspine.errors import InputError, OutputError
from cspine.reading import studies_in

JOURNAL = "run.json"
_SUFFIXES = (".nii.gz", ".nii", ".zip", ".dcm")
_SAVED_EVERY_S = 1.0
_LONGEST_NAME = 120


class CaseStatus(StrEnum):
    """What became of a case."""

    WAITING = "waiting"
    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Case:
    """One study of a batch.

    Attributes:
        name: Name of its folder in the output.
        source: What is read.
        status: What became of it.
        seconds: How long it took.
        error: Why it failed, in one line.
        fault: Whether it failed by a fault of ours and not of its input.
        formats: What was asked for.
        files: What was written, in its folder.
        notes: What to know of those files: what was left out, or filled in.
    """

    name: str
    source: str
    status: CaseStatus = CaseStatus.WAITING
    seconds: float = 0.0
    error: str | None = None
    fault: bool = False
    formats: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Journal:
    """``run.json``: every case of a batch, rewritten as the batch goes on; a reader never meets half a file."""

    def __init__(self, out: Path, facts: dict[str, Any], cases: Iterable[Case]) -> None:
        """Begins a journal; the folder is made where it is missing.

        Raises:
            OutputError: The folder cannot be written.
        """
        self._path = out / JOURNAL
        self._facts = {"cspine": cspine.__version__, **facts}
        self._cases = {case.name: case for case in cases}
        self._saved = 0.0
        self.save()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases, in the order in which they were given."""
        return tuple(self._cases.values())

    def note(self, case: Case) -> None:
        """Notes what became of a case; the file follows within a second."""
        self._cases[case.name] = case
        if time.monotonic() - self._saved > _SAVED_EVERY_S:
            self.save()

    def save(self) -> None:
        """Writes the file."""
        data = {**self._facts, "cases": [asdict(case) for case in self._cases.values()]}
        partial = self._path.with_name(f".{JOURNAL}.partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            partial.replace(self._path)
        except OSError as error:
            raise OutputError(f"{self._path.parent} cannot be written: {error.strerror}. Choose another folder with -o.") from error
        self._saved = time.monotonic()


def read_journal(out: Path) -> dict[str, Case]:
    """The cases of an earlier run by name; none where there is no journal that can be read."""
    try:
        data = json.loads((out / JOURNAL).read_text(encoding="utf-8"))
        cases = [_case(case) for case in data["cases"]]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {case.name: case for case in cases}


def _case(data: dict[str, Any]) -> Case:
    lists = {name: tuple(data[name]) for name in ("formats", "files", "notes")}
    return Case(**{**data, **lists, "status": CaseStatus(data["status"])})


def find_cases(paths: Sequence[Path]) -> tuple[Case, ...]:
    """The studies under some paths, each with a name of its own; a path without any is a case that failed."""
    names: set[str] = set()
    seen: set[Path] = set()
    cases = []
    for path in paths:
        try:
            found, error = studies_in(path), None
        except InputError as reason:
            found, error = (path,), str(reason)
        for source in found:
            if source.resolve() in seen:
                continue
            seen.add(source.resolve())
            case = Case(_own_name(source, names), str(source.resolve()))
            cases.append(case if error is None else replace(case, status=CaseStatus.FAILED, error=error))
    return tuple(cases)


def put_case(out: Path, name: str, write: Callable[[Path], None], mark: str = "result.json") -> None:
    """Fills the folder of a case under a temporary name, then renames it; an earlier result of that name is replaced.

    Args:
        out: The folder of the batch.
        name: Name of the case.
        write: Fills the folder that it is given.
        mark: The file by which a folder is known for an earlier result.

    Raises:
        OutputError: The folder cannot be written, or holds something else than a result.
    """
    folder, partial, old = out / name, out / f".{name}.partial", out / f".{name}.old"
    if folder.exists() and not (folder / mark).is_file():
        raise OutputError(f"{folder} is in the way: it holds no {mark}. Move it, or choose another folder with -o.")
    try:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        write(partial)
        if folder.exists():
            folder.replace(old)
        partial.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}. Choose another folder with -o.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _own_name(source: Path, taken: set[str]) -> str:
    """A folder name after the source, which no case has yet; ``taken`` grows by it."""
    plain = source.resolve().name
    for suffix in _SUFFIXES:
        if plain.lower().endswith(suffix) and len(plain) > len(suffix):
            plain = plain[: -len(suffix)]
            break
    plain = "".join(c if c.isprintable() and c not in '\\/:*?"<>|' else "_" for c in plain).strip(" .")[:_LONGEST_NAME] or "study"
    name, count = plain, 1
    while name.casefold() in taken | {JOURNAL}:
        count += 1
        name = f"{plain}-{count}"
    taken.add(name.casefold())
    return name
