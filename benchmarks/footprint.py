"""Measures how much memory ``cspine detect`` takes over one study, in whole processes.

``python -m benchmarks.footprint STUDY [--slices N]... [--before SRC]`` runs the command on a study, and on the same neck in other
numbers of slices of 512 x 512, which are written as DICOM first. It tells the peak of all its processes together, where memory that
two of them share counts once (proportional set size, Linux), and the largest process by itself. ``--before`` names the ``src``
folder of an earlier state, which is run in the same turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from benchmarks.memory import family
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reading import read_study
from cspine.volume import Volume

_SIDE = 512
_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Peak:
    """Holds the most memory that a call took.

    Attributes:
        together_mib: Of all its processes at one moment, shared memory once.
        largest_mib: Of the largest process.
    """

    together_mib: float
    largest_mib: float


def main() -> None:
    """Prints a line for each study and each state."""
    options = _arguments()
    sources = {"now": Path(__file__).parents[1] / "src"}
    if options.before:
        sources["before"] = options.before.absolute()
    with tempfile.TemporaryDirectory() as place:
        studies = [options.study, *(_with_slices(options.study, count, Path(place, str(count))) for count in options.slices)]
        for study in studies:
            rounds = [{name: peak_of(study, source) for name, source in sources.items()} for _ in range(options.rounds)]
            for name in sources:
                together, largest = (
                    statistics.median(getattr(one[name], kind) for one in rounds) for kind in ("together_mib", "largest_mib")
                )
                print(f"{study.name:<12}{name:<8}{together:6.0f} MiB together at most, {largest:6.0f} MiB the largest process")


def peak_of(study: Path, source: Path) -> Peak:
    """Runs ``cspine detect`` of the code in a ``src`` folder, and watches it."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "cspine", "detect", str(study), "-o", out, "--format", "json"]
        return watched(subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(source)}))


def watched(call: "subprocess.Popen[bytes]", every_s: float = _EVERY_S) -> Peak:
    """Returns the most memory that a call takes until it ends; it must end well."""
    ended, peaks = threading.Event(), [Peak(0, 0)]
    watch = threading.Thread(target=_watch, args=(call.pid, ended, peaks, every_s))
    watch.start()
    code = call.wait()
    ended.set()
    watch.join()
    if code:
        raise SystemExit(f"cspine detect ended with {code}.")
    return Peak(max(one.together_mib for one in peaks), max(one.largest_mib for one in peaks))


def _watch(pid: int, ended: threading.Event, peaks: list[Peak], every_s: float) -> None:
    while not ended.wait(every_s):
        found = [_kib(one) for one in family(pid)]
        peaks.append(Peak(sum(shared for shared, _ in found) / 1024, max((own for _, own in found), default=0) / 1024))


def _kib(pid: int) -> tuple[int, int]:
    """Returns the proportional set size of a process and its peak of resident memory; nothing where it has ended."""
    try:
        sizes = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(sizes["Pss"].split()[0]), int(status["VmHWM"].split()[0])
    except (OSError, KeyError, ValueError):
        return 0, 0


def _with_slices(study: Path, count: int, folder: Path) -> Path:
    """Writes the same neck in another number of slices over the same height."""
    volume = read_study(study).volume
    grid = volume.grid.canonical()
    z, y, x = grid.extent_mm
    wanted = Grid.upright(grid.centre_mm, (count, _SIDE, _SIDE), (z / count, y / _SIDE, x / _SIDE))
    folder.mkdir()
    for index in range(count):
        _write(sample(volume, wanted.part((index, 0, 0), (1, _SIDE, _SIDE))), index, folder)
    return folder


def _write(one: Volume, index: int, folder: Path) -> None:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, f"1.2.3.4.{index + 1}"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    made.Modality, made.ImageType, made.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], index + 1
    made.ImagePositionPatient = [f"{value:.4f}" for value in one.grid.world((0, 0, 0))]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.PixelSpacing = [f"{step:.6f}" for step in one.grid.spacing_mm[1:]]
    made.Rows = made.Columns = _SIDE
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    made.PixelData = (np.rint(one.hu[0]) + 1024).astype("<i2").tobytes()
    made.save_as(folder / f"{index:04}.dcm", enforce_file_format=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder, zip or NIfTI file of one study")
    parser.add_argument("--slices", type=int, action="append", default=[], metavar="N", help="the same neck in so many slices too")
    parser.add_argument("--before", type=Path, metavar="SRC", help="src folder of an earlier state of cspine")
    parser.add_argument("--rounds", type=int, default=3, help="how often each (default: 3)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
