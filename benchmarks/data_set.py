"""A folder of phantoms against the published table of the RSNA 2022 data, read from its files alone.

    python -m benchmarks.data_set DIR

Prints how often each level and each number of levels is fractured, and how often each quirk of the layout occurs, beside what is
expected and its standard error. DIR must have been made with the shares of the RSNA data (no --masks, --boxes or --enriched).
"""

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

STUDIES = 2019
OUTPUTS = {"patient_overall": 961, "C1": 146, "C2": 285, "C3": 73, "C4": 108, "C5": 162, "C6": 277, "C7": 393}
NUMBERS = (1058, 623, 239, 64, 26, 7, 2)
"""Studies with 0 to 6 fractured levels."""

OWN = {"starts above 1": 0.15, "oblique": 0.08, "12 bits": 0.3, "two windows": 0.4, "padding": 0.5, "intercept 0": 0.07}
"""Shares that are not published: those that docs/reference/data-sets.md states. Padding shows in the corners of an image."""

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


@dataclass(frozen=True, slots=True)
class Stored:
    """A study as it is stored: headers of its first and last file by number, and pixels of one.

    Attributes:
        first: Of the smallest number.
        last: Of the largest number.
        corner: HU in the corner of an image.
    """

    first: Dataset
    last: Dataset
    corner: float


QUIRKS: dict[str, Callable[[Stored], bool]] = {
    "falling": lambda s: float(s.first.ImagePositionPatient[2]) > float(s.last.ImagePositionPatient[2]),
    "JPEG Lossless": lambda s: s.first.file_meta.TransferSyntaxUID == JPEG_LOSSLESS,
    "starts above 1": lambda s: int(s.first.InstanceNumber) > 1,
    "oblique": lambda s: not np.allclose(s.first.ImageOrientationPatient, (1, 0, 0, 0, 1, 0)),
    "12 bits": lambda s: s.first.BitsStored == 12,
    "two windows": lambda s: isinstance(s.first.WindowCenter, pydicom.multival.MultiValue),
    "intercept 0": lambda s: float(s.first.RescaleIntercept) == 0,
    "padding": lambda s: s.corner in (-2000, -1000),
}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    with (folder / "train.csv").open(newline="") as file:
        labels = {row["StudyInstanceUID"]: row for row in csv.DictReader(file)}
    count = len(labels)
    print(f"{count} studies\n\n| | found | expected | standard error | off by |\n|---|---|---|---|---|")
    for name, published in OUTPUTS.items():
        _row(name, sum(row[name] == "1" for row in labels.values()), published / STUDIES, count)
    levels = [sum(row[name] == "1" for name in list(OUTPUTS)[1:]) for row in labels.values()]
    for number, published in enumerate(NUMBERS):
        _row(f"{number} levels", levels.count(number), published / STUDIES, count)
    shares = {"falling": 1822 / STUDIES, "JPEG Lossless": 1 / 8, **OWN}
    stored = [_stored(folder / "train_images" / uid) for uid in labels]
    for name, share in shares.items():
        _row(name, sum(QUIRKS[name](study) for study in stored), share, count)
    _row("mask", len(list((folder / "segmentations").glob("*.nii"))), 87 / STUDIES, count)
    positive = sum(row["patient_overall"] == "1" for row in labels.values())
    with (folder / "train_bounding_boxes.csv").open(newline="") as file:
        boxed = {row["StudyInstanceUID"] for row in csv.DictReader(file)}
    _row("boxes, of the positive", len(boxed), 235 / 961, positive)


def _stored(folder: Path) -> Stored:
    paths = sorted(folder.iterdir(), key=lambda path: int(path.stem))
    first, last = (pydicom.dcmread(path, stop_before_pixels=True) for path in (paths[0], paths[-1]))
    middle = pydicom.dcmread(paths[len(paths) // 2])
    corner = float(middle.pixel_array[0, 0]) * float(middle.RescaleSlope) + float(middle.RescaleIntercept)
    return Stored(first, last, corner)


def _row(name: str, found: int, share: float, count: int) -> None:
    error = np.sqrt(count * share * (1 - share))
    print(f"| {name} | {found} | {count * share:.1f} | {error:.1f} | {(found - count * share) / error:+.1f} |")


if __name__ == "__main__":
    main()
