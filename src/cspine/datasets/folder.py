"""The image and mask files of a data set folder: are they there, are they whole?"""

import os
from collections.abc import Collection
from pathlib import Path

import nibabel
import pydicom
from nibabel.filebasedimages import ImageFileError
from pydicom.errors import InvalidDicomError

from cspine.datasets.case import Problem

_END_OF_FRAGMENTS = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def slice_path(images: Path, number: int) -> Path:
    """The file of one image."""
    return images / f"{number}.dcm"


def image_size(path: Path) -> tuple[int, int] | None:
    """Rows and columns of one DICOM file, or ``None`` where it cannot be read."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        return int(header.Rows), int(header.Columns)
    except (OSError, ValueError, AttributeError, InvalidDicomError):
        return None


def check_slices(images: Path, uid: str) -> Problem | None:
    """What is wrong with the image files of a study, seen from outside: none, gaps, or one that was cut off."""
    place = f"{images.parent.name}/{uid}"
    try:
        with os.scandir(images) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if entry.name.endswith(".dcm")}
    except OSError:
        sizes = {}
    if not sizes:
        return Problem("missing_images", f"Study {uid} needs its images in {place}; none are there. The study is left out.", uid)
    try:
        numbers = sorted(int(name[: -len(".dcm")]) for name in sizes)
    except ValueError:
        text = f"{place} needs files called <InstanceNumber>.dcm. Received: {min(sizes)}. The study is left out."
        return Problem("bad_slice_name", text, uid)
    gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
    if gaps:
        return Problem(
            "missing_slices", f"{place} lacks {gaps} of the slices {numbers[0]}..{numbers[-1]}. The study is left out.", uid
        )
    smallest = min(sizes, key=lambda name: (sizes[name], name))
    if not _is_whole(images / smallest):
        return Problem("truncated_slice", f"{place}/{smallest} is cut off or is no DICOM file. The study is left out.", uid)
    return None


def _is_whole(path: Path) -> bool:
    """Whether the pixel data of a file reach their end; they are not decoded."""
    try:
        with path.open("rb") as file:
            header = pydicom.dcmread(file, stop_before_pixels=True)
            begin, size = file.tell(), file.seek(0, os.SEEK_END)
            if not header.file_meta.TransferSyntaxUID.is_compressed:
                return size - begin > int(header.Rows) * int(header.Columns) * int(header.BitsAllocated) // 8
            file.seek(max(0, size - 4096))
            return _END_OF_FRAGMENTS in file.read()
    except (OSError, ValueError, AttributeError, TypeError, InvalidDicomError):
        return False


def check_masks(folder: Path, known: Collection[str], problems: list[Problem]) -> dict[str, Path]:
    """The masks that can be opened, by study; what cannot be used is added to ``problems``."""
    masks: dict[str, Path] = {}
    if not folder.is_dir():
        return masks
    for path in sorted(folder.iterdir()):
        uid = path.name.removesuffix(".gz").removesuffix(".nii")
        if uid == path.name or path.name.startswith("."):
            continue
        if uid not in known:
            text = f"segmentations/{path.name} belongs to no study of train.csv; it is left out."
            problems.append(Problem("unknown_mask", text, uid))
        elif (fault := _mask_fault(path)) is not None:
            text = f"segmentations/{path.name} cannot be read as a mask ({fault}); the study is used without it."
            problems.append(Problem("bad_mask", text, uid))
        else:
            masks[uid] = path
    return masks


def _mask_fault(path: Path) -> str | None:
    """Why a mask cannot be opened, judged by its header and its size."""
    try:
        image = nibabel.load(path)
        shape = image.shape
        if len(shape) != 3:
            return f"it needs three axes and has {len(shape)}"
        needed = int(image.dataobj.offset) + int(shape[0]) * int(shape[1]) * int(shape[2]) * image.get_data_dtype().itemsize
        if path.suffix == ".nii" and path.stat().st_size < needed:
            return f"it needs {needed} bytes and has {path.stat().st_size}"
    except (OSError, ValueError, TypeError, EOFError, ImageFileError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None
