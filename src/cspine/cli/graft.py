"""Puts fractures into scans of real, intact necks, and writes them in the layout of the RSNA 2022 data.

Of every scan OUT holds the scan itself, copies with one to three fractured levels, and controls: copies whose bone is edited by the
same steps and is not fractured. Test a scanner's own images with it, or train on it; `cspine train` keeps all copies of a scan in
one fold.

Only levels that are surely named and wholly seen are fractured, and a scan without any is refused. The fractures are synthetic:
every table says so, and OUT/truth/<uid>/truth.json says what was done. The same scan and seed give the same bytes. A command that
was stopped leaves whole studies only; called again, it makes the rest.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.progress import progress
from cspine.cli.report import exit_code
from cspine.errors import InputError, StudyError, UsageError, is_want_of_memory
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.reader import ReadAhead, Reader
from cspine.runtime import Device, Engine
from cspine.storage.files import clear_unfinished

if TYPE_CHECKING:
    from cspine.jobs.scans import Scan
    from cspine.locating import Located
    from cspine.phantoms.graft.collection import GraftPlan, GraftScan
    from cspine.volume import LabelMap, Volume

Outline = Callable[[str, "Volume"], tuple["Located", "LabelMap"]]

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="SCAN", help="folder, zip or NIfTI file of a scan, or a folder of scans"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder of the data set")
    parser.add_argument("--copies", type=int, default=4, metavar="N", help="copies with fractures of every scan (default: 4)")
    parser.add_argument("--controls", type=int, default=2, metavar="N", help="copies with other edits of every scan (default: 2)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="random seed; the same seed makes the same copies (default: 0)"
    )
    parser.add_argument(
        "--severity",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="severity of fractures, 0 a hairline to 1 gross (default: as often as in `cspine phantom`)",
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="PATH",
        help="NIfTI mask of the scan, 1 to 7 for C1 to C7, or a folder of SCAN.nii or SCAN.nii.gz; no localiser is run then",
    )
    parser.add_argument(
        "--localiser", metavar="PACKAGE", help="package that finds vertebrae: a folder, or a name of `cspine models`"
    )
    parser.add_argument("--series", metavar="UID", help="which series, or UID#n which stack of one; cspine info names them")
    parser.add_argument(
        "--device", choices=[device.value for device in Device], default="auto", help="where to run the networks (default: auto)"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    _check(options)
    from cspine.phantoms.dataset.claims import claimed
    from cspine.phantoms.graft.collection import KIND, GraftPlan, write_all_tables

    severity = None if options.severity is None else (options.severity[0], options.severity[1])
    plan = GraftPlan(options.out, options.copies, options.controls, options.seed, severity)
    outline = _localised(options) if options.masks is None else partial(_masked, options.masks)
    with Reader() as reader:
        jobs = reader.find(options.paths)
        if options.masks is not None and options.masks.is_file() and len(jobs) > 1:
            raise UsageError(f"--masks needs a folder of masks for several scans. Received: {options.masks} for {len(jobs)} scans.")
        with claimed(plan.root, KIND, plan.settings()):
            clear_unfinished(plan.root)
            try:
                with ReadAhead(reader, [job for job in jobs if job.status is JobStatus.WAITING], options.series) as scans:
                    made = _made(iter(scans), plan, outline)
                    done = [
                        _failed(job) if job.status is JobStatus.FAILED else next(made) for job in progress(jobs, len(jobs), "scans")
                    ]
            finally:
                write_all_tables(plan.root)
    return exit_code(done)


def _check(options: argparse.Namespace) -> None:
    if options.copies < 0 or options.controls < 0 or options.copies + options.controls < 1:
        raise UsageError(
            "--copies and --controls need whole numbers from 0, one of them above it."
            f" Received: {options.copies} and {options.controls}."
        )
    if options.seed < 0:
        raise UsageError(f"--seed needs a whole number from 0. Received: {options.seed}.")
    if options.severity is not None and not 0 <= options.severity[0] <= options.severity[1] <= 1:
        raise UsageError(f"--severity needs two numbers from 0 to 1, the lower first. Received: {options.severity}.")
    if options.masks is not None and not options.masks.exists():
        raise UsageError(f"--masks needs a NIfTI file or a folder of such. Received: {options.masks}, which is not there.")


def _made(scans: Iterator[tuple[Job, Callable[[], "Scan"]]], plan: "GraftPlan", outline: Outline) -> Iterator[Job]:
    """Yields each job when its copies are made; whatever goes wrong with a scan stays in its job."""
    seen: dict[str, str] = {}
    for job, read in scans:
        try:
            yield _make(job, read, plan, outline, seen)
        except Exception as error:
            if not isinstance(error, InputError) and not is_want_of_memory(error):
                _log.exception("%s failed", job.name)
            yield _failed(job.failed(error))


def _make(job: Job, read: Callable[[], "Scan"], plan: "GraftPlan", outline: Outline, seen: dict[str, str]) -> Job:
    from cspine.phantoms.graft.collection import GraftScan, make_copies, prepare, study_paths

    volume = read().study.volume
    try:
        scan = _unlike(GraftScan.of(job.name, volume), seen)
        places = study_paths(plan, scan)
        if all(place.is_complete() for place in places):
            _print(f"{job.name}: {len(places)} studies were there")
            return replace(job, status=JobStatus.OK)
        source, doubts = prepare(scan, *outline(job.name, scan.volume), plan.seed)
    except StudyError as error:
        return _failed(replace(job, status=JobStatus.REJECTED, reason=str(error)))
    made = sum(progress(make_copies(plan, scan, source), len(places), job.name))
    broken = " ".join(level.name for level in sorted(source.bones))
    left = "".join(f"; {level.name} {doubt}" for level, doubt in sorted(doubts.items()))
    _print(f"{job.name}: {made} studies made, {len(places) - made} were there; broken or edited: {broken}{left}")
    return replace(job, status=JobStatus.OK)


def _unlike(scan: "GraftScan", seen: dict[str, str]) -> "GraftScan":
    """Returns a scan that has not come before.

    Raises:
        StudyError: It has.
    """
    if scan.sha256 in seen:
        raise StudyError(f"Each scan is needed once. {scan.name} has the voxels of {seen[scan.sha256]}: leave one of them out.")
    seen[scan.sha256] = scan.name
    return scan


def _failed(job: Job) -> Job:
    sys.stderr.write(f"cspine graft: {job.name}: {job.reason}\n")
    return job


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _localised(options: argparse.Namespace) -> Outline:
    """Returns what asks a localiser for the vertebrae of a scan."""
    from cspine.locating import Localiser

    localiser = Localiser(options.localiser, Engine(device=Device(options.device)))

    def outline(name: str, volume: "Volume") -> tuple["Located", "LabelMap"]:  # noqa: ARG001  # one signature
        refined = localiser.outline(volume)
        return refined.located, refined.labels_on(volume.grid)

    return outline


def _masked(masks: Path, name: str, volume: "Volume") -> tuple["Located", "LabelMap"]:
    """Returns the vertebrae that a person's mask says."""
    import numpy as np

    from cspine.anatomy import CERVICAL
    from cspine.datasets.masks import mask_on, without_small_components
    from cspine.locating.crop_geometry import located_by

    found = [masks] if masks.is_file() else [path for end in (".nii", ".nii.gz") if (path := masks / f"{name}{end}").is_file()]
    if not found:
        raise StudyError(f"--masks needs a mask of every scan. {masks} has neither {name}.nii nor {name}.nii.gz: add it.")
    mask = without_small_components(mask_on(volume.grid, found[0]))
    if not np.isin(mask.labels, CERVICAL).any():
        raise StudyError(f"A mask needs 1 to 7 for C1 to C7. {found[0].name} has none of them in the scan: give another.")
    return located_by(mask), mask
