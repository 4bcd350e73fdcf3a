"""Finds the vertebrae C1 to C7 in CT scans, and says where each lies and how sure its name is.

For every study a folder appears under OUT: vertebrae.json, a label map (vertebrae.nii.gz) and a picture (vertebrae.png). A study
is a folder of one CT series, a zip of it or a NIfTI file; a folder of such studies is taken as many.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cspine.cli.progress import progress
from cspine.cli.report import exit_code
from cspine.detection import check_located, check_scan, facts_of
from cspine.errors import InputError, is_want_of_memory
from cspine.jobs.folders import put_job
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.occupancy import occupied
from cspine.jobs.reader import ReadAhead, Reader
from cspine.jobs.scans import Scan
from cspine.locating import Localiser
from cspine.modelpack import QualityLimits
from cspine.reporting import vertebrae, vertebrae_picture
from cspine.runtime import Device, Engine
from cspine.storage.files import clear_unfinished

_log = logging.getLogger(__name__)
_MARKS = {"assessed": "", "partly_in_view": "~", "uncertain": "?"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="folder, zip or NIfTI file of a study, or a folder of studies"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument(
        "--localiser", metavar="PACKAGE", help="package that finds vertebrae: a folder, or a name of `cspine models`"
    )
    parser.add_argument("--series", metavar="UID", help="use this series, or UID#n for one stack of it; cspine info lists them")
    parser.add_argument("--on-scan", action="store_true", help="write the label map on the scan's own voxels too")
    parser.add_argument(
        "--device", choices=[device.value for device in Device], default="auto", help="where to run the networks (default: auto)"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    localiser = Localiser(options.localiser, Engine(device=Device(options.device)))
    with occupied(options.out), Reader() as reader:
        clear_unfinished(options.out)
        jobs = reader.find(options.paths)
        with ReadAhead(reader, [job for job in jobs if job.status is JobStatus.WAITING], options.series) as scans:
            read = (_located(job, scan, localiser, options) for job, scan in scans)
            done = [
                _reported(job) if job.status is JobStatus.FAILED else next(read) for job in progress(jobs, len(jobs), "studies")
            ]
    return exit_code(done)


def _located(job: Job, read: Callable[[], Scan], localiser: Localiser, options: argparse.Namespace) -> Job:
    """Locates one study; whatever goes wrong stays in its job."""
    try:
        return _locate(job, read(), localiser, options)
    except Exception as error:
        if not isinstance(error, InputError) and not is_want_of_memory(error):
            _log.exception("%s failed", job.name)
        return _reported(job.failed(error))


def _reported(job: Job) -> Job:
    sys.stderr.write(f"cspine locate: {job.name}: {job.reason}\n")
    return job


def _locate(job: Job, scan: Scan, localiser: Localiser, options: argparse.Namespace) -> Job:
    study = replace(scan.study, name=job.name)
    refined = localiser.outline(study.volume)
    reasons = (*check_located(refined.located), *check_scan(study.volume, QualityLimits()))
    facts = vertebrae.as_json(refined.located, facts_of(study), localiser.model, reasons)

    def write(folder: Path) -> None:
        vertebrae.write_labels(refined.located.labels, folder / vertebrae.LABELS)
        if options.on_scan:
            vertebrae.write_labels(refined.labels_on(study.volume.grid), folder / vertebrae.LABELS_ON_SCAN)
        vertebrae_picture.write(refined, study, folder / vertebrae.PICTURE)
        vertebrae.write_facts(facts, folder / vertebrae.FACTS)

    put_job(options.out, job.name, write, known_by=vertebrae.FACTS)
    levels = " ".join(_MARKS[one.status.value] + one.level.name for one in refined.located.vertebrae)
    sys.stdout.write(f"{job.name}: {reasons[0].text if reasons else levels}\n")
    return replace(job, status=JobStatus.REJECTED if reasons else JobStatus.OK)
