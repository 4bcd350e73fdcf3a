"""Scans that deserve to be refused: for each reason a function that makes one and returns its path."""

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.reading import choosing, dicom, limits
from cspine.reading.messages import Refusal
from tests.reading.scans import JPEG_LOSSLESS, Scan, anatomy, body, lacking, neck, save, setting

Made = tuple[Path, str | None]
Case = Callable[[Path, pytest.MonkeyPatch], Path | Made]
CASES: dict[Refusal, Case] = {}
"""For each refusal what makes a scan that deserves it, in a folder; the path, or the path and a series."""


def _case(refusal: Refusal) -> Callable[[Case], Case]:
    def remember(case: Case) -> Case:
        CASES[refusal] = case
        return case

    return remember


def nifti(folder: Path, values: object, affine: object = np.eye(4)) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), folder / "scan.nii")
    return folder / "scan.nii"


def transposed_hu() -> object:
    return body().transpose(2, 1, 0)


# ---- places


@_case(Refusal.NOT_FOUND)
def _nowhere(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return folder / "nowhere"


@_case(Refusal.NOT_A_FILE)
def _pipe(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@_case(Refusal.OTHER_FORMAT)
def _meta_image(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    (folder / "neck.mha").write_bytes(b"ObjectType = Image\nNDims = 3\n")
    return folder


@_case(Refusal.COSTLY_HEADERS)
def _endless_headers(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "HEADERS_S", 0.0)
    patch.setattr(limits, "HEADER_S", 0.0)
    return Scan().write(folder)


@_case(Refusal.NO_IMAGES)
def _text(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    (folder / "scan.dcm").write_text("This is not the image you are looking for. " * 20)
    return folder


@_case(Refusal.SEVERAL_STUDIES)
def _several_studies(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan(study_uid="1.1").write(folder / "a")
    Scan(study_uid="1.2").write(folder / "b")
    return folder


@_case(Refusal.DAMAGED_FILE)
def _garbage(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    for path in Scan().write(folder).iterdir():
        path.write_bytes(path.read_bytes().replace(b"\x28\x00\x30\x00DS", b"\x28\x00\x30\x00SQ"))
    return folder


@_case(Refusal.WRONG_NUMBER)
def _wrong_number(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    for path in Scan().write(folder).iterdir():
        path.write_bytes(path.read_bytes().replace(b"DS\x08\x000.5\\0.75", b"DS\x08\x000.5\\0,,5"))
    return folder


@_case(Refusal.TOO_MANY_FILES)
def _many_files(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "MAX_FILES", 5)
    return Scan().write(folder)


@_case(Refusal.TOO_DEEP)
def _deep(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan().write(folder / "/".join("abcdefghijklmn"))
    return folder


@_case(Refusal.FILE_TOO_BIG)
def _big(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = Scan().write(folder) / "1.dcm"
    os.truncate(path, limits.MAX_FILE_BYTES + 1)  # the file system stores no zeros
    return folder


@_case(Refusal.DAMAGED_ZIP)
def _damaged_zip(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = _zipped(folder)
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    return path


@_case(Refusal.ZIP_TOO_BIG)
def _bomb(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "MAX_ARCHIVE_BYTES", 1000)
    return _zipped(folder)


@_case(Refusal.NOT_ALLOWED)
def _forbidden(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    Scan().write(folder)
    patch.setattr(Path, "open", refuse)
    return folder


@_case(Refusal.CHANGED_WHILE_READ)
def _changing(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    choose = choosing.choose

    def change(*args: object) -> object:
        (folder / "3.dcm").write_bytes((folder / "3.dcm").read_bytes() + b"\0\0")
        return choose(*args)  # type: ignore[arg-type]

    Scan().write(folder)
    patch.setattr(dicom, "choose", change)
    return folder


def _zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in Scan().write(folder / "scan").iterdir():
            file.write(path, path.name)
    return folder / "scan.zip"


# ---- series


@_case(Refusal.NO_SUCH_SERIES)
def _no_such_series(folder: Path, _patch: pytest.MonkeyPatch) -> Made:
    return Scan().write(folder), "9.9"


@_case(Refusal.AMBIGUOUS_SERIES)
def _ambiguous(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan(series_uid="1.1").write(folder / "a")
    Scan(series_uid="1.2").write(folder / "b")
    return folder


@_case(Refusal.NOTHING_USABLE)
def _nothing_usable(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan(series_uid="1.1", change=setting(Modality="MR")).write(folder / "a")
    Scan(series_uid="1.2", hu=body(1), change=setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])).write(folder / "b")
    return folder


@_case(Refusal.NOT_CT)
def _mr(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(Modality="MR")).write(folder)


@_case(Refusal.NOT_ANATOMY)
def _localizer(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])).write(folder)


@_case(Refusal.COLOUR)
def _colour(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(SamplesPerPixel=3)).write(folder)


# ---- geometry


@_case(Refusal.NO_POSITIONS)
def _no_positions(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=lacking("ImagePositionPatient")).write(folder)


@_case(Refusal.BAD_GEOMETRY)
def _bad_directions(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(ImageOrientationPatient=[1, 0, 0, 1, 0, 0])).write(folder)


@_case(Refusal.BAD_SIZE)
def _bad_size(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(Rows=65535, Columns=65535)).write(folder)


@_case(Refusal.TOO_LARGE)
def _too_large(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(limits, "MAX_VOXELS", 700)
    return Scan().write(folder)


@_case(Refusal.SINGLE_SLICE)
def _single(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(hu=body(1)).write(folder)


@_case(Refusal.ONE_POSITION)
def _one_position(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(positions=np.zeros((6, 3))).write(folder)


@_case(Refusal.ROUNDED_TOGETHER)
def _rounded_together(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    scan = Scan(hu=body(30), step_mm=0.625)
    scan.positions = np.round(scan.places)
    return scan.write(folder)


@_case(Refusal.INTERLEAVED)
def _interleaved(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    z = np.arange(40) * 0.5
    hu = np.where((np.arange(40) % 2 == 0)[:, None, None], anatomy(z), anatomy(z, shift_mm=8))
    return Scan(hu=hu, step_mm=0.5).write(folder)


@_case(Refusal.WIDE_GAP)
def _wide_gap(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(positions=np.array([[0, 0, z] for z in (0, 1, 2, 3, 14, 15)])).write(folder)


@_case(Refusal.TOO_MIXED)
def _mixed(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    def turned(dataset: Dataset, index: int) -> None:
        angle = 0.2 * index
        dataset.ImageOrientationPatient = [1, 0, 0, 0, f"{np.cos(angle):.9f}", f"{np.sin(angle):.9f}"]

    patch.setattr(limits, "MAX_STACKS", 4)
    return Scan(change=turned).write(folder)


@_case(Refusal.CROOKED_STACK)
def _crooked(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    scan = Scan()
    scan.positions = scan.places
    scan.positions[3, 0] += 7
    return scan.write(folder)


@_case(Refusal.STEEP_SHEAR)
def _steep(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(positions=np.arange(6)[:, None] * [0.0, 2.0, 1.0]).write(folder)


@_case(Refusal.DIFFERENT_DUPLICATES)
def _different_duplicates(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    Scan().write(folder / "a")
    Scan(hu=body(seed=1)).write(folder / "b")
    return folder


# ---- pixels


@_case(Refusal.RETIRED_COMPRESSION)
def _retired(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return _claiming(folder, "1.2.840.10008.1.2.4.53")


@_case(Refusal.UNSUPPORTED_COMPRESSION)
def _unsupported(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return _claiming(folder, "1.2.840.10008.1.2.4.102")


def _claiming(folder: Path, syntax: str) -> Path:
    scan = Scan(syntax=JPEG_LOSSLESS)
    for index in range(len(scan.hu)):
        made = scan.dataset(index)
        made.file_meta.TransferSyntaxUID = syntax
        save(made, folder / f"{index}.dcm")
    return folder


@_case(Refusal.BAD_PIXEL_FORMAT)
def _bad_format(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(BitsAllocated=12, BitsStored=12, HighBit=11)).write(folder)


@_case(Refusal.BAD_RESCALE)
def _bad_rescale(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(RescaleSlope=0)).write(folder)


def _table(unit: str) -> Dataset:
    """A modality lookup table that takes 1024 off."""
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.ModalityLUTType = unit
    table.add_new(0x00283006, "OW", (np.arange(4096) - 1024).astype("<i2").tobytes())
    return table


@_case(Refusal.MODALITY_LUT)
def _unspecified_table(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(ModalityLUTSequence=[_table("US")])).write(folder)


@_case(Refusal.NOT_GREY)
def _palette(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(PhotometricInterpretation="PALETTE COLOR")).write(folder)


@_case(Refusal.HIGH_BITS)
def _high_bits(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(hu=neck(6), change=setting(BitsStored=11, HighBit=10, PixelRepresentation=0)).write(folder)


@_case(Refusal.EXCESS_PIXELS)
def _excess(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(Rows=11)).write(folder)


@_case(Refusal.RESCALE_JUMPS)
def _jumping(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    def change(dataset: Dataset, index: int) -> None:
        if index == 3:
            dataset.RescaleIntercept = 0

    return Scan(change=change).write(folder)


@_case(Refusal.NO_PIXELS)
def _no_pixels(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=lacking("PixelData")).write(folder)


@_case(Refusal.TRUNCATED_PIXELS)
def _truncated(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = Scan().write(folder) / "3.dcm"
    os.truncate(path, path.stat().st_size - 50)
    return folder


@_case(Refusal.DAMAGED_PIXELS)
def _damaged_pixels(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = Scan(syntax=JPEG_LOSSLESS).write(folder) / "3.dcm"
    path.write_bytes(path.read_bytes().replace(b"\xff\xd9", b"\0\0"))
    return folder


@_case(Refusal.CODESTREAM_DISAGREES)
def _disagreeing(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(syntax=JPEG_LOSSLESS, change=setting(Rows=11)).write(folder)


@_case(Refusal.NOT_HU)
def _not_hu(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.arange(216).reshape(6, 6, 6).astype(np.uint8))


@_case(Refusal.CLIPPED)
def _clipped(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.minimum(neck(), 400).T)


# ---- NIfTI


@_case(Refusal.NIFTI_DAMAGED)
def _nifti_damaged(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    (folder / "scan.nii").write_bytes(b"not a scan")
    return folder / "scan.nii"


@_case(Refusal.NIFTI_BROKEN_OFF)
def _nifti_broken_off(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = nifti(folder, transposed_hu())
    (folder / "scan.nii.gz").write_bytes(gzip.compress(path.read_bytes())[:-8])
    return folder / "scan.nii.gz"


@_case(Refusal.NIFTI_STEPS)
def _nifti_steps(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, transposed_hu(), np.diag((0.0005, 0.0005, 0.001, 1)))


@_case(Refusal.NIFTI_DIMENSIONS)
def _nifti_4d(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.zeros((4, 4, 4, 2), np.int16))


@_case(Refusal.NIFTI_COLOUR)
def _nifti_colour(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


@_case(Refusal.NIFTI_NO_PLACE)
def _nifti_nowhere(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, transposed_hu(), affine=None)


@_case(Refusal.NIFTI_TRUNCATED)
def _nifti_truncated(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = nifti(folder, transposed_hu())
    os.truncate(path, path.stat().st_size - 10)
    return path
