"""Takes jobs from the queue, one after the other, and records what came of them."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from cspine.concurrency.processors import processors
from cspine.errors import StudyError
from cspine.jobs.folders import kept
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.reader import Reader
from cspine.jobs.scans import Scan
from cspine.jobs.task import Task
from cspine.jobs.worker import Worker
from cspine.node.config import Config, WorkerSettings
from cspine.node.names import process_name
from cspine.node.receiving.spool import Folders
from cspine.node.store import Store
from cspine.node.store.nouns import Claim
from cspine.node.store.queue import LONGEST_HOLD_S, claim, finish, is_held, lose, release, superseded_keys, while_superseded
from cspine.node.working.heartbeat import Heartbeat
from cspine.node.working.outcome import finished, parcels
from cspine.reporting import chosen
from cspine.storage.files import clear_unfinished, remove

_FORMATS = "html,sr,seg,sc,fhir"
_AGAIN = frozenset({"output"})
"""Codes of failures that are no fault of the study: the place for results cannot be written."""

_DIED = frozenset({"reader_died"})
"""Codes of failures that may be the study's fault or not: something ended the process that read it."""

_PAUSE_S, _IDLE_S, _TIDY_S = 60.0, 0.25, 60.0

_log = logging.getLogger(__name__)


def task_of(config: Config) -> Task:
    """Returns what every job of a node does.

    Raises:
        UsageError: A format is unknown.
        ModuleNotFoundError: An extra is missing.
    """
    settings = config.worker
    return Task(
        out=Folders(config.node.data).results.absolute(),
        formats=chosen(_FORMATS),  # chosen, so that a report cites a segmentation that is written too
        model=settings.model,
        localiser=settings.localiser,
        operating_point=settings.operating_point,
        device=settings.device,
    )


class NodeWorker:
    """Does the jobs of a node with a model that is loaded once."""

    def __init__(self, config: Config, store: Store) -> None:
        """Loads the model.

        Raises:
            PackageError: A package cannot be used.
        """
        self._config, self._store = config, store
        self._folders, self._owner = Folders(config.node.data), process_name("worker")
        self._task = task_of(config)
        self._worker = Worker(self._task, threads=_threads(config.worker))

    def work(self, stop: threading.Event) -> None:
        """Does jobs until it shall stop; the one in hand is finished first."""
        clear_unfinished(self._folders.results)
        with Reader() as reader:
            idle_s = _TIDY_S
            while not stop.is_set():
                if self.step(lambda source: reader.read(source, None), stop):
                    continue
                if idle_s >= _TIDY_S:
                    self._tidy()
                    idle_s = 0.0
                stop.wait(_IDLE_S)
                idle_s += _IDLE_S

    def step(self, read: Callable[[str], Scan], stop: threading.Event | None = None) -> bool:
        """Does one job, if there is one.

        Args:
            read: Reads a scan.
            stop: Says when not to wait until a result may be recorded.

        Returns:
            Whether there was one.
        """
        settings = self._config.worker
        claimed = claim(self._store, self._owner, settings.lease_s, settings.attempts)
        if claimed is None:
            return False
        with Heartbeat(self._store, claimed, settings.lease_s):
            job = self._done(claimed, read)
            if self._is_due(claimed, stop or threading.Event()):
                self._record(claimed, job)
        return True

    def _is_due(self, claimed: Claim, stop: threading.Event) -> bool:
        """Waits until a result may be recorded; gives the job back where the worker shall stop before.

        Nobody waits for a job that was withdrawn, or for longer than a hold lasts: then the clock was set back.
        """
        while 0 < (left_s := claimed.due_at - self._store.clock()) <= LONGEST_HOLD_S and is_held(self._store, claimed):
            if stop.wait(min(left_s, _IDLE_S)):
                release(self._store, claimed, left_s, "Images may still come.")
                return False
        return True

    def _done(self, claimed: Claim, read: Callable[[str], Scan]) -> Job:
        """Returns the job, done; never again what has a result already."""
        job = Job(claimed.key, str(self._folders.scans / claimed.key))
        earlier = kept(self._task.out, job, self._worker.provenance)
        if earlier is not None:
            return earlier

        def scan() -> Scan:
            if not (self._folders.scans / claimed.key).is_dir():
                raise StudyError("The images of a series are needed. They were removed. Send the series again.")
            return read(job.source)

        return self._worker.do(job, scan)

    def _record(self, claimed: Claim, job: Job) -> None:
        if job.status is JobStatus.FAILED and job.code in _AGAIN:
            _log.error("job %d is tried again in %g s: the place for results cannot be written", claimed.job_id, _PAUSE_S)
            release(self._store, claimed, _PAUSE_S, job.reason or "")
            return
        if job.status is JobStatus.FAILED and job.code in _DIED:
            _log.error("job %d is tried again: the process that read it died", claimed.job_id)
            lose(self._store, claimed, self._config.worker.attempts)
            return
        folder = self._folders.results / claimed.key
        try:
            done = finished(job, folder)
            objects = tuple(parcels(done, folder, self._config.destinations))
        except (OSError, ValueError) as error:  # somebody has removed or altered the result
            _log.exception("the result of job %d cannot be read again", claimed.job_id)
            done, objects = finished(replace(job.failed(error), code="result_lost"), folder), ()
        if finish(self._store, claimed, done, objects, self._config.delivery.settle_s):
            _log.info("job %d is %s, %d objects go to archives", claimed.job_id, done.state.value, len(objects))
            return
        _log.info("job %d was superseded or given to another worker; its result is not recorded", claimed.job_id)
        self._drop(claimed.key)  # not where another worker finished it before

    def _tidy(self) -> None:
        """Removes results that were written for versions which were superseded before they could be recorded."""
        for key in superseded_keys(self._store):
            with suppress(OSError):
                if (self._folders.results / key).is_dir():
                    self._drop(key)

    def _drop(self, key: str) -> None:
        """Removes the result of a version that was superseded; one that was withdrawn may be queued again at any moment."""
        with while_superseded(self._store, key) as is_superseded:
            if is_superseded:
                remove(self._folders.results / key)


def _threads(settings: WorkerSettings) -> int | None:
    """Returns the share of a worker, so that several do not fight for the processors."""
    if settings.threads is not None or settings.count <= 1:
        return settings.threads
    return max(1, processors() // settings.count)
