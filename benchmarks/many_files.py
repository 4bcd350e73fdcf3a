"""Measures how long a data set of the size of RSNA 2022 takes to be looked through before anything is read: 711,000 files.

``python -m benchmarks.many_files DIR`` makes a folder in the layout of the data, whose images are links to one tiny file for each
study, so that it takes megabytes, and times on it: reading the tables and listing the images, as ``cspine info`` and ``cspine
train`` do first; all of ``cspine info``; and ``cspine train`` until it prepares its first study. The folder stays, and is used
again.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1

from cspine.datasets import read_dataset
from cspine.phantoms.dataset.writing import jpeg_lossless

STUDIES, SLICES = 2019, 352
_COMPRESSED_EVERY = 8
_SIDE = 4
_FIRST_UID = 1_000_000


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="new folder, or one that was made before")
    parser.add_argument("--studies", type=int, default=STUDIES, help=f"how many (default: {STUDIES})")
    parser.add_argument("--slices", type=int, default=SLICES, help=f"images of each (default: {SLICES})")
    options = parser.parse_args()
    make(options.folder, options.studies, options.slices)
    print(f"{options.studies} studies, {options.studies * options.slices} images")
    for name, (seconds, busy) in measured(options.folder).items():
        print(f"{name:<40}{seconds:8.1f} s{busy:8.1f} s of processors")
    print(f"{'memory of this process at most':<40}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:8.2f} GiB")


def make(root: Path, studies: int, slices: int) -> None:
    """Makes the folder where it is not there yet; every second study is fractured, one in eight is compressed."""
    if (root / "train.csv").is_file():
        return
    rows = ["StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7"]
    for number in range(studies):
        uid = f"1.2.826.0.1.3680043.{_FIRST_UID + number}"
        levels = [int(number % 2 and level == number % 7) for level in range(7)]
        rows.append(",".join(map(str, [uid, int(any(levels)), *levels])))
        images = root / "train_images" / uid
        images.mkdir(parents=True)
        write_image(images / "1.dcm", uid, compressed=number % _COMPRESSED_EVERY == 0)
        for index in range(2, slices + 1):
            os.link(images / "1.dcm", images / f"{index}.dcm")
    (root / "train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_image(path: Path, uid: str, *, compressed: bool) -> None:
    """Writes an image of four by four pixels with the attributes that are looked at."""
    made, stored = Dataset(), np.zeros((_SIDE, _SIDE), np.int16)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1 if compressed else ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"{uid}.1.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = uid, f"{uid}.1"
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit = _SIDE, _SIDE, 16, 16, 15
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 1
    made.PixelData = encapsulate([jpeg_lossless(stored)]) if compressed else stored.tobytes()
    made.save_as(path, enforce_file_format=True)


def measured(root: Path) -> dict[str, tuple[float, float]]:
    """Returns seconds, on the clock and of processors, by what was done."""
    return {
        "tables and images": _seconds(lambda: read_dataset(root)),
        "cspine info": _seconds(lambda: _run(["info", str(root), "--json"])),
        "cspine train, to the first study": _seconds(lambda: _train(root)),
    }


def _seconds(act: Callable[[], object]) -> tuple[float, float]:
    begin, before = time.perf_counter(), os.times()
    act()
    after = os.times()
    busy = sum(getattr(after, name) - getattr(before, name) for name in ("user", "system", "children_user", "children_system"))
    return time.perf_counter() - begin, busy


def _run(words: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "cspine", *words], check=True, stdout=subprocess.DEVNULL)


def _train(root: Path) -> None:
    """Starts training, and ends it when it has begun to prepare the first study."""
    words = [sys.executable, "-m", "cspine", "train", "custom_cnn", "--data", str(root), "--progress", "json"]
    with (
        tempfile.TemporaryDirectory() as place,
        subprocess.Popen([*words, "-o", f"{place}/run"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as training,
    ):
        for line in training.stdout or io.StringIO():
            with contextlib.suppress(ValueError, KeyError):
                if str(json.loads(line)["text"]).startswith("preparing study 1 of"):
                    break
        training.kill()


if __name__ == "__main__":
    main()
