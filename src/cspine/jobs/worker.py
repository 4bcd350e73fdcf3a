"""Does one job: the same function wherever it is called, on this machine or on many."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cspine.detection import Detector
from cspine.errors import InputError, is_want_of_memory
from cspine.evidence import Prediction
from cspine.jobs.folders import RECORD, JobRecord, Provenance, drop_job, earlier_formats, put_job
from cspine.jobs.job import Job
from cspine.jobs.scans import Scan
from cspine.jobs.task import Packages, Task
from cspine.locating import Localiser
from cspine.reporting import format_of, write_result
from cspine.reporting.table import united
from cspine.reporting.written import together
from cspine.runtime import Engine

_log = logging.getLogger(__name__)


class Worker:
    """Does jobs of a task with a model that is loaded once.

    Attributes:
        provenance: How.
    """

    provenance: Provenance

    def __init__(self, task: Task, packages: Packages | None = None, threads: int | None = None) -> None:
        """Loads the model.

        Args:
            task: What is done.
            packages: Those of the task, where they are loaded already.
            threads: Processor threads for the network; the engine's choice if ``None``.

        Raises:
            PackageError: The package cannot be used.
        """
        self._task = task
        packages, engine = packages or task.load(), Engine(task.device, threads=threads)
        self._detector = Detector(packages.model, engine, task.operating_point, Localiser(packages.localiser, engine))
        self.provenance = task.provenance(packages)
        threading.Thread(target=_import_writers, args=(task.formats,), name="cspine-import").start()

    def do(self, job: Job, read: Callable[[], Scan]) -> Job:
        """Predicts and writes one study; whatever goes wrong stays in its job.

        Args:
            job: The job.
            read: Hands over its scan, or raises what is wrong with it.
        """
        begin = time.perf_counter()
        try:
            return self._predict_and_write(job, read())
        except Exception as error:
            if not isinstance(error, InputError) and not is_want_of_memory(error):
                _log.exception("%s failed", job.name)
            drop_job(self._task.out, job.name)
            return replace(job.failed(error), seconds=round(time.perf_counter() - begin, 3))

    def _predict_and_write(self, job: Job, scan: Scan) -> Job:
        study = replace(scan.study, name=job.name)
        formats = united(self._task.formats, earlier_formats(self._task.out, job))  # what was written before is written again
        prediction = _timed(self._detector.predict(study), {"read": round(scan.seconds, 4)})

        def write(folder: Path) -> Job:
            """Writes a result: pictures first, so that result.json can say how long they took."""
            begin = time.perf_counter()
            others = write_result(prediction, study, folder, [name for name in formats if name != "json"])
            whole = _timed(prediction, {"write": round(time.perf_counter() - begin, 4)})
            written = together([write_result(whole, study, folder, ["json"]), others])
            notes = tuple(note.text for note in written.notes)
            record = JobRecord(replace(self.provenance, formats=formats), scan.mark, written.files, notes)
            (folder / RECORD).write_text(record.to_json(), encoding="utf-8")
            return job.done(whole.result.to_dict(), written.files, notes)

        return put_job(self._task.out, job.name, write)


def _import_writers(formats: Sequence[str]) -> None:
    """Imports what writes results while the first one is made; what fails here fails again when it is written."""
    with suppress(Exception):
        for name in formats:
            format_of(name)


def _timed(prediction: Prediction, seconds: dict[str, float]) -> Prediction:
    """Returns the same result with the seconds of further stages; reading comes first."""
    result = prediction.result
    timings = result.timings_s | seconds if "read" in result.timings_s else seconds | result.timings_s
    return replace(prediction, result=replace(result, timings_s=timings))
