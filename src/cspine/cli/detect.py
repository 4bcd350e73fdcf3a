"""Finds fractures of the cervical spine in CT scans.

For every study a folder appears under OUT, with result.json and a picture; OUT/run.json lists them all. A study is a folder of one
CT series, a zip of it or a NIfTI file; a folder of such studies is taken as many. Research software, not a medical device.
"""

import argparse
import json
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cspine.cli.batch import Case, CaseStatus, Journal, find_cases, put_case, read_journal
from cspine.cli.progress import progress
from cspine.cli.report import exit_code, print_summary
from cspine.detection import Detector
from cspine.errors import InputError, UsageError
from cspine.evidence import Examination
from cspine.reading import read_study
from cspine.reporting import FORMATS, Written, format_of, write_result
from cspine.reporting.written import together
from cspine.results import StudyResult
from cspine.runtime import Device, Engine
from cspine.study import Study

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="folder, zip or NIfTI file of a study, or a folder of studies"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--model", metavar="PACKAGE", help="model package: a folder, or a name that `cspine models` lists")
    parser.add_argument("--series", metavar="UID", help="Series Instance UID, where a study holds several")
    parser.add_argument("--format", default="json,png", help="what to write: json, png; json is always written (default: json,png)")
    parser.add_argument(
        "--device", choices=[device.value for device in Device], default="auto", help="where to run the network (default: auto)"
    )
    parser.add_argument("--operating-point", metavar="NAME", help="set of thresholds; the package's default if not given")
    parser.add_argument("--resume", action="store_true", help="keep the whole cases of an earlier run, do the rest")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    formats = _formats(options.format)
    detector = Detector(options.model, Engine(device=Device(options.device)), options.operating_point)
    batch = _Batch(options.out, detector, formats, options.series)
    earlier = read_journal(options.out) if options.resume else {}
    with _terminate_like_interrupt(), Journal(options.out, batch.facts(), find_cases(options.paths)) as journal:
        for case in progress(journal.cases, len(journal.cases), "studies"):
            journal.note(batch.kept(case, earlier.get(case.name)) or batch.do(case))
    print_summary(options.out, journal.cases)
    return exit_code(journal.cases)


class _Batch:
    """How the cases of a run are done."""

    def __init__(self, out: Path, detector: Detector, formats: tuple[str, ...], series_uid: str | None) -> None:
        self._out, self._detector, self._formats, self._series_uid = out, detector, formats, series_uid

    def facts(self) -> dict[str, Any]:
        """What the journal says about the whole run."""
        model = self._detector.model
        about = {"name": model.name, "version": model.version, "sha256": model.sha256}
        return {"model": about, "operating_point": self._detector.operating_point}

    def kept(self, case: Case, earlier: Case | None) -> Case | None:
        """The case as an earlier run left it, where that was this study, whole, and judged in the same way."""
        if earlier is None or earlier.source != case.source:
            return None
        try:
            result = json.loads((self._out / case.name / "result.json").read_text(encoding="utf-8"))
            same = result["model"]["sha256"] == self._detector.model.sha256
            same = same and result["operating_point"] == self._detector.operating_point
            status = CaseStatus(result["status"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        whole = set(self._formats) <= set(earlier.formats) and all(
            (self._out / case.name / file).is_file() for file in earlier.files
        )
        return replace(earlier, status=status) if same and whole else None

    def do(self, case: Case) -> Case:
        """Reads, judges and writes one study; whatever goes wrong stays in its case."""
        if case.error is not None:
            return case
        begin = time.perf_counter()
        try:
            result, written = self._judge_and_write(case)
            notes = tuple(note.text for note in written.notes)
            case = replace(case, status=CaseStatus(result.status.value), formats=self._formats, files=written.files, notes=notes)
        except InputError as error:
            case = replace(case, status=CaseStatus.FAILED, error=str(error))
        except Exception as error:
            _log.exception("%s failed", case.name)
            case = replace(case, status=CaseStatus.FAILED, error=f"A fault of cspine: {type(error).__name__}: {error}", fault=True)
        return replace(case, seconds=round(time.perf_counter() - begin, 3))

    def _judge_and_write(self, case: Case) -> tuple[StudyResult, Written]:
        begin = time.perf_counter()
        study = read_study(Path(case.source), series_uid=self._series_uid)
        study = replace(study, name=case.name)
        seconds = {"read": round(time.perf_counter() - begin, 4)}
        examination = _timed(self._detector.examine(study), seconds)
        written: list[Written] = []
        put_case(self._out, case.name, lambda folder: written.append(self._write(examination, study, folder)))
        return examination.result, written[0]

    def _write(self, examination: Examination, study: Study, folder: Path) -> Written:
        """Pictures first, so that result.json can say how long they took."""
        begin = time.perf_counter()
        others = write_result(examination, study, folder, [name for name in self._formats if name != "json"])
        seconds = {"write": round(time.perf_counter() - begin, 4)}
        return together([write_result(_timed(examination, seconds), study, folder, ["json"]), others])


def _timed(examination: Examination, seconds: dict[str, float]) -> Examination:
    """The same, with the seconds of further stages; reading comes first."""
    result = examination.result
    timings = result.timings_s | seconds if "read" in result.timings_s else seconds | result.timings_s
    return replace(examination, result=replace(result, timings_s=timings))


def _formats(text: str) -> tuple[str, ...]:
    """Names of formats, ``json`` first."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise UsageError(f"--format takes {', '.join(FORMATS)}, separated by commas. Received: {text}")
    for name in names:
        format_of(name)  # a missing extra is said before the first study is read
    return tuple(dict.fromkeys(["json", *names]))


@contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """A polite request to end is taken like Ctrl-C, so that what is half done is cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
