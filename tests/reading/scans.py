"""Small CT scans on disk, as archives write them and as they should not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

from cspine.geometry import Grid

Change = Callable[[Dataset, int], None]
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


def body(slices: int = 6, rows: int = 12, columns: int = 10, seed: int = 0) -> NDArray[np.int16]:
    """Returns Hounsfield units with air, tissue and bone, no two voxels alike in place; ``(slices, rows, columns)``."""
    hu = np.random.default_rng(seed).integers(-100, 100, (slices, rows, columns))
    hu[:, :2] = -1000
    hu[:, 5:7, 4:8] = 700 + np.arange(slices)[:, None, None]
    return hu.astype(np.int16)


def anatomy(z_mm: NDArray[np.floating[Any]], shift_mm: float = 0.0, side: int = 40) -> NDArray[np.int16]:
    """Returns Hounsfield units of slices that continue each other as those of a neck do, 1 mm a pixel; ``(n, side, side)``.

    Args:
        z_mm: Heights of the slices.
        shift_mm: How far the patient lies to the side.
        side: Rows and columns.
    """
    row, column = np.mgrid[:side, :side] - (side - 1) / 2
    z = np.asarray(z_mm, dtype=np.float64)[:, None, None]
    column = column - shift_mm
    hu = np.where(row**2 + (column * 1.1) ** 2 < (0.4 * side) ** 2, 40.0, -1000.0) + 0 * z
    bone = (row - 4 * np.sin(z / 9)) ** 2 + (column - 3 * np.cos(z / 7)) ** 2 < (0.12 * side + 2 * np.sin(z / 5)) ** 2
    hu[bone] = 700
    return (hu + np.random.default_rng(0).normal(0, 20, hu.shape)).clip(-1000).round().astype(np.int16)


def neck(slices: int = 40, side: int = 64, seed: int = 0) -> NDArray[np.int16]:
    """Returns HU as frequent as in a neck: air, fat, muscle, bone that is rare where dense; ``(slices, side, side)``."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side)) / side - 0.5
    radius = np.hypot(rows, columns)
    hu = np.full((slices, side, side), -1000.0)
    hu[:, radius < 0.45] = -100
    hu[:, radius < 0.4] = 55
    bone = radius < 0.15
    hu[:, bone] = 100 + rng.exponential(280, (slices, np.count_nonzero(bone)))
    hu[1, 32, 28:36] = 3071  # a filling
    return np.clip(hu + rng.normal(0, 12, hu.shape), -1024, 3071).round().astype(np.int16)


@dataclass
class Scan:
    """A CT series to write.

    Attributes:
        hu: Hounsfield units, ``(slices, rows, columns)``.
        spacing_mm: Distance of rows and of columns.
        directions: Image Orientation (Patient).
        positions: Image Position (Patient) of each slice, ``(slices, 3)``; ``step_mm`` along the normal by default.
        step_mm: Distance of slices.
        series_uid: Series Instance UID.
        study_uid: Study Instance UID.
        syntax: Transfer syntax: uncompressed, or JPEG Lossless.
        change: Changes each data set before it is written.
    """

    hu: NDArray[np.int16] = field(default_factory=body)
    spacing_mm: tuple[float, float] = (0.5, 0.75)
    directions: Sequence[float] = AXIAL
    positions: NDArray[np.float64] | None = None
    step_mm: float = 1.25
    series_uid: str = "1.2.3.4"
    study_uid: str = "1.2.3"
    syntax: str = ExplicitVRLittleEndian
    change: Change | None = None

    @property
    def places(self) -> NDArray[np.float64]:
        """Returns positions of the slices, ``(slices, 3)``."""
        if self.positions is not None:
            return np.asarray(self.positions, dtype=np.float64)
        normal = np.cross(self.directions[:3], self.directions[3:])
        return np.array([-20.0, -30.0, 40.0]) + np.arange(len(self.hu))[:, None] * self.step_mm * normal

    def grid(self) -> Grid:
        """Returns where the voxels lie, by the definition of the DICOM attributes; for even stacks."""
        row, column = np.array(self.directions[:3]), np.array(self.directions[3:])
        affine = np.eye(4)
        affine[:3, 0] = (self.places[-1] - self.places[0]) / (len(self.hu) - 1)
        affine[:3, 1], affine[:3, 2] = column * self.spacing_mm[0], row * self.spacing_mm[1]
        affine[:3, 3] = self.places[0]
        return Grid((len(self.hu), *self.hu.shape[1:]), affine)

    def dataset(self, index: int) -> Dataset:
        """Returns one slice."""
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = self.syntax
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"{self.series_uid}.{index + 1}"
        made.StudyInstanceUID, made.SeriesInstanceUID = self.study_uid, self.series_uid
        made.Modality, made.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        made.ImagePositionPatient = [f"{value:.6f}" for value in self.places[index]]
        made.ImageOrientationPatient = [f"{value:.9f}" for value in self.directions]
        made.PixelSpacing = list(self.spacing_mm)
        made.Rows, made.Columns = self.hu.shape[1:]
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
        made.RescaleSlope, made.RescaleIntercept = 1, -1024
        stored = (self.hu[index] + 1024).astype(np.int16)
        made.PixelData = encapsulate([lossless(stored)]) if self.syntax == JPEG_LOSSLESS else stored.tobytes()
        if self.change is not None:
            self.change(made, index)
        return made

    def write(self, folder: Path, name: str = "{index}.dcm") -> Path:
        """Writes the series into a folder, the last slice first."""
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(len(self.hu)):
            save(self.dataset(index), folder / name.format(index=len(self.hu) - index))
        return folder


def lossless(stored: NDArray[Any]) -> bytes:
    """Returns the bytes of an image in JPEG Lossless."""
    return bytes(imagecodecs.jpeg_encode(stored.view(f"u{stored.dtype.itemsize}"), lossless=True, predictor=1, bitspersample=16))


def save(dataset: Dataset, path: Path) -> None:
    """Writes a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    syntax = dataset.file_meta.TransferSyntaxUID
    implicit, big = syntax == "1.2.840.10008.1.2", syntax == "1.2.840.10008.1.2.2"
    dataset.save_as(path, implicit_vr=implicit, little_endian=not big, enforce_file_format=True)


def setting(**values: object) -> Change:
    """Returns a change that gives every slice the same values."""

    def change(dataset: Dataset, _index: int) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def lacking(*keywords: str) -> Change:
    """Returns a change that removes attributes from every slice."""

    def change(dataset: Dataset, _index: int) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return change


def enhanced(scan: Scan) -> Dataset:
    """Returns the scan as one enhanced multi-frame CT object, its frames in reverse order."""
    made = scan.dataset(0)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    order = range(len(scan.hu))[::-1]
    slices = [scan.dataset(index) for index in order]
    made.PerFrameFunctionalGroupsSequence = [_frame_group(one) for one in slices]
    shared = Dataset()
    shared.PixelMeasuresSequence = [_item(PixelSpacing=list(scan.spacing_mm))]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=made.ImageOrientationPatient)]
    made.SharedFunctionalGroupsSequence = [shared]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(made, keyword)
    made.NumberOfFrames = len(slices)
    if scan.syntax == JPEG_LOSSLESS:
        made.PixelData = encapsulate([lossless((scan.hu[index] + 1024).astype(np.int16)) for index in order])
    else:
        made.PixelData = b"".join(one.PixelData for one in slices)
    return made


def _frame_group(one: Dataset) -> Dataset:
    group = Dataset()
    group.PlanePositionSequence = [_item(ImagePositionPatient=one.ImagePositionPatient)]
    group.PixelValueTransformationSequence = [_item(RescaleSlope=one.RescaleSlope, RescaleIntercept=one.RescaleIntercept)]
    group.CTImageFrameTypeSequence = [_item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])]
    return group


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
