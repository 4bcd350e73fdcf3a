"""Files of the RSNA layout: DICOM slices with just the attributes that were kept there, masks as NIfTI."""

from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSdecimal

from cspine.geometry import Grid
from cspine.phantoms.dataset.layout import JPEG_LOSSLESS, Encoding, StudyLayout

_IMPLEMENTATION = "1.2.826.0.1.3680043.8.498.1"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class SliceWriter:
    """Writes the slices of one study.

    Attributes:
        folder: Where they go.
        study_uid: The study.
        grid: All slices from feet to head, in the scanner's world.
        layout: How they are stored.
        pixels_mm: Distance of rows and of columns, where pixels are not square.
    """

    folder: Path
    study_uid: str
    grid: Grid
    layout: StudyLayout
    pixels_mm: tuple[float, float] | None = None

    def write(self, index: int, hu: NDArray[np.float32]) -> None:
        """Writes one slice ``(rows, columns)``, ``index`` from the feet."""
        number = self.layout.file_number(index, self.grid.shape[0])
        dataset = self._header(index, number)
        stored = _stored(_padded(hu, self.layout.padding_hu), self.layout.encoding)
        if self.layout.encoding.transfer_syntax == JPEG_LOSSLESS:
            dataset.PixelData = encapsulate([jpeg_lossless(stored)])
            dataset["PixelData"].is_undefined_length = True
        else:
            dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.save_as(self.folder / f"{number}.dcm", enforce_file_format=True)

    def _header(self, index: int, number: int) -> Dataset:
        dataset, encoding = Dataset(), self.layout.encoding
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{self.study_uid}.1.{number}"
        meta.TransferSyntaxUID = encoding.transfer_syntax
        meta.ImplementationClassUID = _IMPLEMENTATION
        meta.ImplementationVersionName = "CSPINE"
        dataset.file_meta = meta
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        dataset.PatientName = dataset.PatientID = self.study_uid.rsplit(".", 1)[-1]
        dataset.SliceThickness = _decimal(self.layout.thickness_mm)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study_uid, f"{self.study_uid}.1"
        dataset.InstanceNumber = number
        rows, columns = self.grid.directions[:, 1], self.grid.directions[:, 2]
        dataset.ImagePositionPatient = [_decimal(v) for v in self.grid.world((index, 0, 0))]
        dataset.ImageOrientationPatient = [_decimal(v) for v in (*columns, *rows)]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows, dataset.Columns = self.grid.shape[1:]
        dataset.PixelSpacing = [_decimal(side) for side in self.pixels_mm or [self.layout.pixel_mm] * 2]
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, encoding.bits_stored, encoding.bits_stored - 1
        dataset.PixelRepresentation = int(encoding.signed)
        dataset.WindowCenter, dataset.WindowWidth = list(encoding.centres), list(encoding.widths)
        dataset.RescaleIntercept, dataset.RescaleSlope = encoding.intercept, 1
        return dataset


def jpeg_lossless(stored: NDArray[np.int16] | NDArray[np.uint16]) -> bytes:
    """Returns an image ``(rows, columns)`` as JPEG Lossless, Selection Value 1: a sample's neighbour on the left predicts it."""
    return bytes(imagecodecs.jpeg_encode(stored.view(np.uint16), lossless=True, predictor=1, bitspersample=16))


def write_labels(path: Path, labels: NDArray[np.generic], grid: Grid) -> None:
    """Writes labels ``(z, y, x)`` as a NIfTI file with axes to the right, the front and the head (RAS); compressed if ``.gz``."""
    affine = _LPS_TO_RAS @ grid.affine[:, [2, 1, 0, 3]]
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(np.asarray(labels).T, affine))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _padded(hu: NDArray[np.float32], padding_hu: int | None) -> NDArray[np.float32]:
    """Pads a slice outside the largest circle that it holds, where nothing is measured."""
    if padding_hu is None:
        return hu
    rows, columns = hu.shape
    y, x = np.ogrid[:rows, :columns]
    outside = np.hypot(y - (rows - 1) / 2, x - (columns - 1) / 2) > min(rows, columns) / 2
    return np.where(outside, np.float32(padding_hu), hu)


def _stored(hu: NDArray[np.float32], encoding: Encoding) -> NDArray[np.int16] | NDArray[np.uint16]:
    low, high = encoding.stored_range
    whole = np.clip(np.rint(hu - encoding.intercept), low, high)
    return whole.astype("<i2") if encoding.signed else whole.astype("<u2")


def _decimal(value: float) -> DSdecimal:
    """Returns a number as DICOM writes it: 16 characters at most."""
    return DSdecimal(f"{value + 0.0:.8f}"[:16].rstrip("0").rstrip(".") or "0")
