"""Measures how fast, how small and how right scans are read, beside SimpleITK and dicom2nifti.

``python benchmarks/reading.py`` writes its scans into a temporary folder and prints three tables: readers; what files cost
themselves, and where each waits for 5 ms as on a disk of a network; decoders of JPEG Lossless in one thread. Peers that are not
installed are named so (``pip install SimpleITK dicom2nifti``). Each figure is the median of several readings in a process of its
own, files in the cache of the system.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1

from cspine.reading.places import FileEntry, FolderPlace

Array = NDArray[Any]
_ROUNDS = 5
_LATE_S = 0.005


@dataclass(frozen=True)
class Kind:
    """A scan to read: z of its slices, and what makes it hard.

    Attributes:
        name: What to call it.
        z_mm: World z of the slices.
        side: Rows and columns.
        tilt_degrees: Of the gantry.
        compressed: Whether in JPEG Lossless.
    """

    name: str
    z_mm: Array
    side: int
    tilt_degrees: float = 0.0
    compressed: bool = False


_EVEN = np.arange(60) * 1.0
KINDS = (
    Kind("320 x 512 x 512, uncompressed", np.arange(320) * 0.6, 512),
    Kind("320 x 512 x 512, JPEG Lossless", np.arange(320) * 0.6, 512, compressed=True),
    Kind("even", _EVEN, 128),
    Kind("gantry tilted by 18.5 degrees", _EVEN, 128, tilt_degrees=18.5),
    Kind("three slices missing", np.delete(_EVEN, (20, 30, 31)), 128),
    Kind("distances of 1 and 2.3 mm", np.concatenate([np.arange(30) * 1.0, 30 + np.arange(30) * 2.3]), 128),
)
_TIMED = KINDS[:2]


def hounsfield(kind: Kind, index: int) -> Array:
    """Returns a slice: the lower part is ten times its world z, less 1000, the upper part looks like a noisy neck."""
    rows, columns = np.mgrid[: kind.side, : kind.side]
    radius = np.hypot(rows - kind.side / 2, (columns - kind.side / 2) * 0.8) / kind.side
    hu = np.select([radius < 0.05, radius < 0.35], [600, 40], -1000) + np.random.default_rng(index).normal(0, 15, rows.shape)
    z = kind.z_mm[index] + rows * 0.4 * np.sin(np.radians(kind.tilt_degrees))
    both: Array = np.where(rows < kind.side // 2, np.clip(hu, -1024, 3000), 10 * z - 1000).round().astype(np.int16)
    return both


def write(kind: Kind, folder: Path) -> Path:
    """Writes the scan as DICOM files."""
    folder.mkdir()
    angle = np.radians(kind.tilt_degrees)
    for index, z in enumerate(kind.z_mm):
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = JPEGLosslessSV1 if kind.compressed else ExplicitVRLittleEndian
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{index + 1}"
        made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = "1.2.3", "1.2.3.4", "1.2.3.5"
        made.Modality, made.ImageType, made.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], index + 1
        made.PatientID, made.Manufacturer, made.SeriesNumber, made.PatientPosition = "", "", 1, "HFS"
        made.ImagePositionPatient = [-100, -100, f"{z:.6f}"]
        made.ImageOrientationPatient = [1, 0, 0, 0, f"{np.cos(angle):.9f}", f"{np.sin(angle):.9f}"]
        made.PixelSpacing, made.SliceThickness = [0.4, 0.4], 1
        made.Rows = made.Columns = kind.side
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
        made.RescaleSlope, made.RescaleIntercept = 1, -1024
        stored = (hounsfield(kind, index).astype(np.int32) + 1024).astype(np.uint16)
        made.PixelData = encapsulate([_compressed(stored)]) if kind.compressed else stored.tobytes()
        made.save_as(folder / f"{index:04}.dcm", enforce_file_format=True)
    return folder


def _compressed(stored: Array) -> bytes:
    return bytes(imagecodecs.jpeg_encode(stored, lossless=True, predictor=1, bitspersample=16))


def by_cspine(folder: Path) -> tuple[Array, Array]:
    """Returns Hounsfield units ``(z, y, x)``, and index to LPS."""
    from cspine.reading import read_study

    volume = read_study(folder).volume
    return volume.hu, volume.grid.affine


def by_simpleitk(folder: Path) -> tuple[Array, Array]:
    """See :func:`by_cspine`."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    steps = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, :3], affine[:3, 3] = steps[:, ::-1], image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), affine


def by_dicom2nifti(folder: Path) -> tuple[Array, Array]:
    """See :func:`by_cspine`."""
    from dicom2nifti import convert_dicom

    image = convert_dicom.dicom_series_to_nifti(str(folder), None, reorient_nifti=False)["NII"]
    affine = np.diag((-1.0, -1.0, 1.0, 1.0)) @ image.affine[:, [2, 1, 0, 3]]
    return np.asanyarray(image.dataobj).transpose(2, 1, 0), affine


READERS: dict[str, Callable[[Path], tuple[Array, Array]]] = {
    "cspine": by_cspine,
    "SimpleITK": by_simpleitk,
    "dicom2nifti": by_dicom2nifti,
}


def plainly(folder: Path) -> None:
    """Reads every byte of every file, and does nothing with it."""
    for path in sorted(folder.iterdir()):
        path.read_bytes()


def late(folder: Path) -> None:
    """Reads with cspine from a disk that makes every reading of a file wait."""
    with patch.object(FolderPlace, "read", _read_late):
        by_cspine(folder)


def _read_late(place: FolderPlace, entry: FileEntry, start: int = 0, count: int | None = None) -> bytes:
    time.sleep(_LATE_S)
    return _READ(place, entry, start, count)


_READ = FolderPlace.read


def side_by_side(folder: Path, rounds: int) -> dict[str, float]:
    """Returns median seconds of plain reading, of cspine, and of cspine where files are late, in turns."""
    ways: dict[str, Callable[[Path], object]] = {"plain": plainly, "cspine": by_cspine, "late": late}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, read in ways.items():
            begin = time.perf_counter()
            read(folder)
            taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def misplaced_mm(kind: Kind, hu: Array, affine: Array) -> float:
    """Returns how far voxels of the lower part lie from the world z that their value tells, at most, along z."""
    slices, rows, columns = np.ogrid[: hu.shape[0], : hu.shape[1], : hu.shape[2]]
    z = affine[2, 0] * slices + affine[2, 1] * rows + affine[2, 2] * columns + affine[2, 3]
    y = affine[1, 0] * slices + affine[1, 1] * rows + affine[1, 2] * columns + affine[1, 3]
    low = -100 + kind.side * 0.4 * np.cos(np.radians(kind.tilt_degrees)) * 0.55
    ramp = (y > low) & (y < low + kind.side * 0.15)
    return float(np.abs((hu + 1000) / 10 - z)[np.broadcast_to(ramp, hu.shape)].max())


def child(reader: str, number: int, folder: Path, rounds: int) -> dict[str, object]:
    """Reads a scan several times and says how that went."""
    kind, read = KINDS[number], READERS[reader]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        hu, affine = read(folder)
    except ImportError:
        return {"trouble": "not installed"}
    except Exception as error:  # a peer may refuse in any way
        return {"trouble": f"refuses: {type(error).__name__} {error}"[:60]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seconds, busy = [], []
    for _ in range(rounds):
        begin, begin_busy = time.perf_counter(), time.process_time()
        read(folder)
        seconds.append(time.perf_counter() - begin)
        busy.append(time.process_time() - begin_busy)
    exact = hu.shape[0] == len(kind.z_mm) and all(
        np.array_equal(np.sort(hu[k], axis=None), np.sort(hounsfield(kind, k), axis=None)) for k in range(0, len(hu), 20)
    )
    volume = len(kind.z_mm) * kind.side**2 * 4
    return {
        "seconds": statistics.median(seconds) if seconds else None,
        "processor": statistics.median(busy) if busy else None,
        "copies": peak * 1024 / volume,
        "exact": exact,
        "misplaced_mm": misplaced_mm(kind, hu, affine),
    }


def decoders(folder: Path) -> dict[str, float]:
    """Returns seconds that each decoder of JPEG Lossless takes for a whole scan, one thread."""
    import pydicom
    from pydicom.encaps import generate_frames

    images = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    frames = [next(generate_frames(image.PixelData, number_of_frames=1)) for image in images]
    named: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
        "imagecodecs.jpeg_decode (libjpeg-turbo; used)": (imagecodecs.jpeg_decode, frames),
        "imagecodecs.ljpeg_decode (liblj92)": (imagecodecs.ljpeg_decode, frames),
        "imagecodecs.jpegsof3_decode": (imagecodecs.jpegsof3_decode, frames),
        "python-gdcm, through pydicom": (lambda image: image.pixel_array, images),
    }
    seconds = {}
    for name, (decode, inputs) in named.items():
        begin = time.perf_counter()
        for one in inputs:
            decode(one)
        seconds[name] = time.perf_counter() - begin
    return seconds


def _run(reader: str, number: int, folder: Path, rounds: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", reader, str(number), str(folder), str(rounds)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().splitlines()
    result: dict[str, Any] = json.loads(outcome[-1]) if outcome else {"trouble": "crashed"}
    return result


def _timed(found: dict[str, Any]) -> str:
    return f"{found['seconds']:.2f} | {found['processor']:.2f} | {found['copies']:.2f}"


def main() -> None:
    """Prints the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        reader, number, folder, rounds = options.child
        print(json.dumps(child(reader, int(number), Path(folder), int(rounds))))
        return
    with tempfile.TemporaryDirectory() as place:
        folders = [write(kind, Path(place) / str(number)) for number, kind in enumerate(KINDS)]
        print("| scan | reader | seconds | of a processor | peak memory, copies of the float32 volume | voxels exact | misplaced |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for number, kind in enumerate(KINDS):
            for reader in READERS:
                found = _run(reader, number, folders[number], options.rounds if kind in _TIMED else 0)
                if "trouble" in found:
                    print(f"| {kind.name} | {reader} | {found['trouble']} | | | | |")
                    continue
                timed = _timed(found) if kind in _TIMED else " | | "
                exact = "" if kind not in _TIMED else "yes" if found["exact"] else "no"
                print(f"| {kind.name} | {reader} | {timed} | {exact} | {found['misplaced_mm']:.2f} mm |")
        print(f"\n| scan | files read, nothing more | cspine | share | each file {1000 * _LATE_S:g} ms late | 2 readings of each |")
        print("| --- | --- | --- | --- | --- | --- |")
        for number, kind in enumerate(_TIMED):
            found = side_by_side(folders[number], options.rounds)
            share, waits = found["plain"] / found["cspine"], 2 * _LATE_S * len(kind.z_mm)
            print(
                f"| {kind.name} | {found['plain']:.3f} | {found['cspine']:.3f} | {share:.0%} | {found['late']:.2f} | {waits:.1f} |"
            )
        print("\n| decoder of JPEG Lossless | seconds |\n| --- | --- |")
        for name, seconds in decoders(folders[1]).items():
            print(f"| {name} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
