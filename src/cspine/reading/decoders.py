"""Checks that pixels of every transfer syntax can be decoded here: a small image is written in each and read back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage

from cspine.reading.headers import frames_of
from cspine.reading.pixels import SYNTAXES, PixelReader
from cspine.reading.places import FolderPlace

_SIDE, _LOSS_HU = 32, 4.0
Image = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Decoding:
    """Says how a transfer syntax fared.

    Attributes:
        uid: The syntax.
        name: What to call it.
        problem: What is wrong; ``None`` where it is read as it was written.
    """

    uid: str
    name: str
    problem: str | None = None


def try_decoders() -> tuple[Decoding, ...]:
    """Tries every transfer syntax that is read."""
    with TemporaryDirectory(prefix="cspine-") as folder:
        return tuple(Decoding(uid, SYNTAXES[uid].name, _problem(uid, Path(folder, f"{uid}.dcm"))) for uid in SYNTAXES if uid)


def _problem(uid: str, path: Path) -> str | None:
    bits = 8 if uid in ("1.2.840.10008.1.2.4.50",) else 12
    image = (np.add.outer(np.arange(_SIDE), 2 * np.arange(_SIDE)) * 2 ** (bits - 8)).astype(np.uint16)
    read = np.empty(image.shape, np.float32)
    try:
        _write(image, bits, uid, path)
        place = FolderPlace(path.parent, only=path)
        PixelReader(place).decode(frames_of(place, place.entries[0])[0], read)
    except Exception as error:  # whatever a codec of this machine raises is what is asked for
        return " ".join(f"{type(error).__name__}: {error}".split())
    difference = float(np.abs(read - image).max())
    return None if difference <= (_LOSS_HU if SYNTAXES[uid].lossy else 0) else f"values differ by up to {difference:g}"


def _write(image: Image, bits: int, uid: str, path: Path) -> None:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.Modality = "1.2", "1.2.3", "CT"
    (data.Rows, data.Columns), data.PixelSpacing = image.shape, [1, 1]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    if uid in _ENCODERS:
        data.PixelData = encapsulate([bytes(_ENCODERS[uid](image))])
    else:
        data.PixelData = image.astype(">u2" if uid == "1.2.840.10008.1.2.2" else "<u2").tobytes()
    data["PixelData"].VR = "OB" if uid in _ENCODERS else "OW"
    data.save_as(path, enforce_file_format=True)


def _run_lengths(image: Image) -> bytes:
    """Encodes values as RLE Lossless (DICOM PS3.5, annex G): the upper bytes, then the lower ones."""
    parts = [imagecodecs.packbits_encode(np.ascontiguousarray(plane)) for plane in ((image >> 8).astype("u1"), image.astype("u1"))]
    starts = [64, 64 + len(parts[0])]
    return np.array([2, *starts, *[0] * 13], "<u4").tobytes() + b"".join(parts)


_ENCODERS: dict[str, Callable[[Image], bytes | bytearray]] = {
    "1.2.840.10008.1.2.4.50": lambda image: imagecodecs.jpeg_encode(image.astype(np.uint8), level=98),
    "1.2.840.10008.1.2.4.51": lambda image: imagecodecs.jpeg_encode(image, level=98, bitspersample=12),
    "1.2.840.10008.1.2.4.57": lambda image: imagecodecs.jpeg_encode(image, lossless=True, predictor=4, bitspersample=12),
    "1.2.840.10008.1.2.4.70": lambda image: imagecodecs.jpeg_encode(image, lossless=True, predictor=1, bitspersample=12),
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_encode,
    "1.2.840.10008.1.2.4.81": lambda image: imagecodecs.jpegls_encode(image, level=1),
    "1.2.840.10008.1.2.4.90": lambda image: imagecodecs.jpeg2k_encode(image, level=0, reversible=True, codecformat="j2k"),
    "1.2.840.10008.1.2.4.91": lambda image: imagecodecs.jpeg2k_encode(image, level=110, reversible=False, codecformat="j2k"),
    "1.2.840.10008.1.2.4.201": lambda image: imagecodecs.htj2k_encode(image, reversible=True),
    "1.2.840.10008.1.2.4.202": lambda image: imagecodecs.htj2k_encode(image, reversible=True),
    "1.2.840.10008.1.2.4.203": lambda image: imagecodecs.htj2k_encode(image, reversible=True),
    "1.2.840.10008.1.2.5": _run_lengths,
}
