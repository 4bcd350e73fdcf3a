"""Scans: DICOM, NIfTI, zips of DICOM, masks."""

import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from benchmarks.fuzz.mutations import damaged_bytes, damaged_gzip, damaged_zip
from cspine.anatomy import Level
from cspine.datasets.masks import load_mask
from cspine.reading import find_series, list_studies, read_study
from cspine.volume import Volume
from tests.coded import coded_volume, write_dicom, write_nifti

_ODD_WORDS = (
    b"", b" ", b"0", b"-1", b"1\\2", b"1\\2\\3", b"nan\\nan", b"inf", b"1e400", b"0,5\\0,5", b"9" * 300, b"\0", b"\xff\xfe\xff\xff",
    b"MR", b"\\", b"../..", b"1.2." * 40, b"20240101", b"ISO 2022 IR 100\\x", b"\xe4\xf6", b"1\\0\\0\\0\\1\\0", b"0\\0\\0\\0\\0\\0",
    b"65535", b"\0\0", b"\x01\x00", b"\xff\xff", b"-0", b"ORIGINAL\\PRIMARY\\LOCALIZER", b"1.2.840.10008.1.2.4.90",
    b"1.2.840.10008.1.2.5",
)  # fmt: skip
_VRS = ("DS", "IS", "US", "SS", "UI", "LO", "CS", "OB", "OW", "OL", "SQ", "UN", "FD", "AT", "PN", "UT")


def small_volume() -> Volume:
    """Returns a block of bone in tissue, of few voxels."""
    return coded_volume([Level.C3], spacing_mm=(5.0, 5.0, 5.0), margin_mm=20.0)


def make_dicom(folder: Path) -> None:
    """Writes a small series."""
    write_dicom(small_volume(), folder / "scan")


def make_nifti(folder: Path) -> None:
    """Writes a small volume."""
    write_nifti(small_volume(), folder / "scan.nii")


def make_nifti_gz(folder: Path) -> None:
    """Writes a small volume, compressed."""
    write_nifti(small_volume(), folder / "scan.nii.gz")


def make_mask(folder: Path) -> None:
    """Writes labels of a small volume."""
    volume = small_volume()
    write_nifti(Volume((volume.hu > 500).astype(np.float32) * 3, volume.grid), folder / "scan.nii.gz")


def make_zip(folder: Path) -> None:
    """Writes a small series in a zip."""
    write_dicom(small_volume(), folder / "scan")
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "scan").iterdir()):
            archive.write(path, f"scan/{path.name}")
            path.unlink()
    (folder / "scan").rmdir()


def read(folder: Path) -> str:
    """Lists and reads as `cspine detect` and `cspine info` do."""
    for study in list_studies(folder).studies:
        find_series(study)
    (path,) = folder.iterdir()
    read_study(path)
    return "read"


def read_mask(folder: Path) -> str:
    """Reads as a data set's mask."""
    load_mask(folder / "scan.nii.gz")
    return "read"


def spoil_dicom(folder: Path, rng: random.Random) -> None:
    """Damages one file, some, or all: bytes, or elements of the header."""
    files = sorted((folder / "scan").iterdir())
    count = rng.choice((1, 1, 2, len(files)))
    damage = spoil_bytes if rng.random() < 0.5 else spoil_elements
    seed = rng.random()
    for path in rng.sample(files, count):
        damage(path, random.Random(seed))


def spoil_bytes(path: Path, rng: random.Random) -> None:
    """Damages bytes of a file."""
    path.write_bytes(damaged_bytes(path.read_bytes(), rng))


def spoil_elements(path: Path, rng: random.Random) -> None:
    """Puts odd values into the header of a DICOM file, of odd types."""
    data: Any = pydicom.dcmread(path)
    for _ in range(rng.choice((1, 1, 2, 3))):
        where = data.file_meta if rng.random() < 0.1 else data
        tags = list(where.keys())
        tag = (
            rng.choice(tags)
            if rng.random() < 0.8
            else Tag(rng.choice((0x00281050, 0x00280008, 0x00189073, 0x00080005, 0x00280106)))
        )
        if rng.random() < 0.15 and tag in where:
            del where[tag]
            continue
        vr = where.get_item(tag).VR if tag in where and rng.random() < 0.7 else rng.choice(_VRS)
        value = rng.choice(_ODD_WORDS) if rng.random() < 0.9 else rng.randbytes(rng.randrange(64))
        value += b" " * (len(value) % 2)
        where._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    try:
        data.save_as(path)
    except Exception:  # pydicom does not write all that scanners do; bytes are damaged instead
        spoil_bytes(path, rng)


def spoil_nifti(folder: Path, rng: random.Random) -> None:
    """Damages the head, mostly."""
    path = folder / "scan.nii"
    data = path.read_bytes()
    path.write_bytes(spoilt_head(data, rng))


def spoilt_head(data: bytes, rng: random.Random) -> bytes:
    """Returns a NIfTI file that is damaged in its head, mostly."""
    return damaged_bytes(data[:352], rng) + data[352:] if rng.random() < 0.6 else damaged_bytes(data, rng)


def spoil_nifti_gz(folder: Path, rng: random.Random) -> None:
    """Damages what is compressed, or the compressed bytes."""
    path = folder / "scan.nii.gz"
    path.write_bytes(damaged_gzip(path.read_bytes(), rng))


def spoil_zip(folder: Path, rng: random.Random) -> None:
    """Damages the zip, or a member."""
    path = folder / "scan.zip"
    path.write_bytes(damaged_zip(path.read_bytes(), rng))
