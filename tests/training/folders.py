"""The studies of :mod:`tests.training.synthetic` as a data set folder."""

import csv
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cspine.anatomy import CERVICAL
from cspine.training.core.marks import BOX_BIT
from cspine.training.slices.stacks import SliceStack

ROOT_UID = "1.2.826.0.1.3680043."


def write_data_set(folder: Path, stacks: list[SliceStack]) -> Path:
    """Writes images with 1.dcm nearest to the feet, labels, boxes where marked, masks where known."""
    (folder / "segmentations").mkdir(parents=True)
    labels: list[list[object]] = [["StudyInstanceUID", "patient_overall", *(level.name for level in CERVICAL)]]
    boxes: list[list[object]] = [["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]]
    for stack in stacks:
        uid = ROOT_UID + stack.case.study_uid.removeprefix("1.2.")
        broken = stack.case.fractured or ()
        labels.append([uid, int(any(broken)), *(int(b) for b in broken)])
        boxes += [[uid, *box] for box in _boxes(stack)]
        _write_images(folder / "train_images" / uid, uid, stack)
        if stack.case.mask is not None:
            _write_mask(folder / "segmentations" / f"{uid}.nii", stack)
    for name, rows in (("train.csv", labels), ("train_bounding_boxes.csv", boxes)):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    return folder


def _boxes(stack: SliceStack) -> list[tuple[int, ...]]:
    """Returns x, y, width, height, number of the image."""
    found: list[tuple[int, ...]] = []
    for number, marks in enumerate(stack.marks, 1):
        rows, columns = np.nonzero(marks & BOX_BIT)
        if len(rows):
            found.append((int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1, number))
    return found


def _write_images(folder: Path, uid: str, stack: SliceStack) -> None:
    folder.mkdir(parents=True)
    z, y, x = stack.grid.spacing_mm
    for number, hu in enumerate(stack.hu, 1):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"{uid}.1.{number}"
        image.StudyInstanceUID, image.SeriesInstanceUID, image.InstanceNumber = uid, f"{uid}.1", number
        image.ImagePositionPatient = stack.grid.world((number - 1, 0, 0)).tolist()
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = [y, x], z
        image.Rows, image.Columns = hu.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleSlope, image.RescaleIntercept = 1, 0
        image.PixelData = hu.astype("<i2").tobytes()
        image.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def _write_mask(path: Path, stack: SliceStack) -> None:
    """Columns run to the left and rows to the back, so x and y change their sign in NIfTI."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ stack.grid.affine[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray((stack.marks % BOX_BIT).T).astype(np.int16), affine), path)
