"""A small data set folder, written by hand with pydicom and nibabel, apart from our own writer."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Dicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT_UID = "1.2.826.0.1.3680043."
SPACING = (2.0, 0.9, 1.1)
"""Slices, rows, columns, mm."""

FIRST_MM = np.array([-20.0, 11.0, 300.0])
"""World LPS of the voxel nearest to the right, the front and the feet."""


def blocks() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Returns HU and labels of seven bright blocks, from the feet; they lie off the middle, so that no flip goes unseen."""
    labels = np.zeros((30, 40, 36), dtype=np.uint8)
    for level in range(1, 8):
        top = 29 - 4 * (level - 1)
        labels[top - 2 : top + 1, 8 + level : 20 + level, 5 + level : 15 + 2 * level] = level
    hu = np.where(labels > 0, 400, 40).astype(np.int16)
    hu[:, :3] = -1000
    return hu, labels


def write_slices(folder: Path, hu: NDArray[np.int16], uid: str, falling: bool, first: int = 1) -> None:
    """Writes files whose number rises with falling or rising z."""
    folder.mkdir(parents=True)
    for offset, k in enumerate(reversed(range(len(hu))) if falling else range(len(hu))):
        number = first + offset
        image = Dicom()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"{uid}.1.{number}"
        image.StudyInstanceUID, image.SeriesInstanceUID = uid, f"{uid}.1"
        image.PatientID = image.PatientName = uid.rsplit(".", 1)[-1]
        image.InstanceNumber = number
        image.ImagePositionPatient = [FIRST_MM[0], FIRST_MM[1], FIRST_MM[2] + k * SPACING[0]]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing = [SPACING[1], SPACING[2]]
        image.SliceThickness = SPACING[0]
        image.Rows, image.Columns = hu.shape[1:]
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleSlope, image.RescaleIntercept = 1, -1024
        image.PixelData = (hu[k] + 1024).astype("<i2").tobytes()
        image.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def write_table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Writes a table, header first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_mask(path: Path, labels: NDArray[np.uint8]) -> None:
    """Writes a mask as RAS NIfTI, as RSNA's are; ``labels`` run from feet to head, front to back, right to left."""
    import nibabel

    affine = np.diag([SPACING[2], SPACING[1], SPACING[0], 1.0])
    last = FIRST_MM + np.array([SPACING[2] * (labels.shape[2] - 1), SPACING[1] * (labels.shape[1] - 1), 0])
    affine[:3, 3] = -last[0], -last[1], last[2]
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(labels[:, ::-1, ::-1].T).astype(np.int16), affine), path)


LABEL_HEADER = ["StudyInstanceUID", "patient_overall", "C1", "C2", "C3", "C4", "C5", "C6", "C7"]
BOX_HEADER = ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]


def write_folder(root: Path) -> Path:
    """Writes studies 1 (rising z, healthy, mask), 2 (falling z, C2 and C5 broken, box on C5, mask) and 3 (healthy), all sound."""
    hu, labels = blocks()
    for number, falling in ((1, False), (2, True), (3, True)):
        write_slices(root / "train_images" / f"{ROOT_UID}{number}", hu, f"{ROOT_UID}{number}", falling, first=number)
    write_table(
        root / "train.csv",
        [
            LABEL_HEADER,
            [f"{ROOT_UID}1", 0, 0, 0, 0, 0, 0, 0, 0],
            [f"{ROOT_UID}2", 1, 0, 1, 0, 0, 1, 0, 0],
            [f"{ROOT_UID}3", 0, 0, 0, 0, 0, 0, 0, 0],
        ],
    )
    # C5 lies in slices 11..13 from the feet, so in 16..18 from the head: files 18..20, as study 2 begins with 2
    write_table(root / "train_bounding_boxes.csv", [BOX_HEADER, [f"{ROOT_UID}2", 10, 13, 15, 12, 19]])
    for number in (1, 2):
        write_mask(root / "segmentations" / f"{ROOT_UID}{number}.nii", labels)
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Replaces text in a file and fails where there is nothing to replace."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
