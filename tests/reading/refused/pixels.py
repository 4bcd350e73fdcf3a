"""Pixels and values that are refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.reading.messages import Refusal
from tests.reading.refused.cases import Cases, nifti
from tests.reading.scans import JPEG_LOSSLESS, Scan, lacking, neck, save, setting

CASES = Cases()


@CASES.case(Refusal.RETIRED_COMPRESSION)
def _retired(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return _claiming(folder, "1.2.840.10008.1.2.4.53")


@CASES.case(Refusal.UNSUPPORTED_COMPRESSION)
def _unsupported(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return _claiming(folder, "1.2.840.10008.1.2.4.102")


def _claiming(folder: Path, syntax: str) -> Path:
    scan = Scan(syntax=JPEG_LOSSLESS)
    for index in range(len(scan.hu)):
        made = scan.dataset(index)
        made.file_meta.TransferSyntaxUID = syntax
        save(made, folder / f"{index}.dcm")
    return folder


@CASES.case(Refusal.BAD_PIXEL_FORMAT)
def _bad_format(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(BitsAllocated=12, BitsStored=12, HighBit=11)).write(folder)


@CASES.case(Refusal.BAD_RESCALE)
def _bad_rescale(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(RescaleSlope=0)).write(folder)


def _table(unit: str) -> Dataset:
    """Returns a modality lookup table that takes 1024 off."""
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.ModalityLUTType = unit
    table.add_new(0x00283006, "OW", (np.arange(4096) - 1024).astype("<i2").tobytes())
    return table


@CASES.case(Refusal.MODALITY_LUT)
def _unspecified_table(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(ModalityLUTSequence=[_table("US")])).write(folder)


@CASES.case(Refusal.NOT_GREY)
def _palette(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(PhotometricInterpretation="PALETTE COLOR")).write(folder)


@CASES.case(Refusal.HIGH_BITS)
def _high_bits(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(hu=neck(6), change=setting(BitsStored=11, HighBit=10, PixelRepresentation=0)).write(folder)


@CASES.case(Refusal.EXCESS_PIXELS)
def _excess(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=setting(Rows=11)).write(folder)


@CASES.case(Refusal.RESCALE_JUMPS)
def _jumping(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    def change(dataset: Dataset, index: int) -> None:
        if index == 3:
            dataset.RescaleIntercept = 0

    return Scan(change=change).write(folder)


@CASES.case(Refusal.NO_PIXELS)
def _no_pixels(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(change=lacking("PixelData")).write(folder)


@CASES.case(Refusal.TRUNCATED_PIXELS)
def _truncated(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = Scan().write(folder) / "3.dcm"
    os.truncate(path, path.stat().st_size - 50)
    return folder


@CASES.case(Refusal.DAMAGED_PIXELS)
def _damaged_pixels(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    path = Scan(syntax=JPEG_LOSSLESS).write(folder) / "3.dcm"
    path.write_bytes(path.read_bytes().replace(b"\xff\xd9", b"\0\0"))
    return folder


@CASES.case(Refusal.CODESTREAM_DISAGREES)
def _disagreeing(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return Scan(syntax=JPEG_LOSSLESS, change=setting(Rows=11)).write(folder)


@CASES.case(Refusal.NOT_HU)
def _not_hu(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.arange(216).reshape(6, 6, 6).astype(np.uint8))


@CASES.case(Refusal.CLIPPED)
def _clipped(folder: Path, _patch: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.minimum(neck(), 400).T)
