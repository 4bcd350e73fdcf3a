"""The image and mask files of a data set folder: are they there, are they whole?"""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import nibabel
import pydicom

from cspine.datasets.case import Problem
from cspine.errors import one_line

_END_OF_FRAGMENTS = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_TAIL = 4096
_NUMBERED = re.compile(r"(?:0|[1-9][0-9]*)\.dcm")


def slice_path(images: Path, number: int) -> Path:
    """Returns the file of one image."""
    return images / f"{number}.dcm"


def image_size(path: Path) -> tuple[int, int] | None:
    """Returns the rows and columns of one DICOM file, or ``None`` where it cannot be read."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        return int(header.Rows), int(header.Columns)
    except Exception:  # pydicom raises whatever comes up over a damaged header
        return None


def check_slices(images: Path, uid: str) -> Problem | None:
    """Returns what is wrong with the image files of a study, seen from outside: none, gaps, or one that was cut off."""
    place = f"{images.parent.name}/{uid}"
    try:
        with os.scandir(images) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if entry.name.lower().endswith(".dcm")}
    except OSError:
        sizes = {}
    if not sizes:
        return Problem("missing_images", f"Study {uid} needs its images in {place}; none are there. The study is left out.", uid)
    strange = [name for name in sizes if not _NUMBERED.fullmatch(name)]
    if strange:
        text = f"{place} needs files called <InstanceNumber>.dcm. Received: {one_line(min(strange), 80)}. The study is left out."
        return Problem("bad_slice_name", text, uid)
    numbers = sorted(int(name.removesuffix(".dcm")) for name in sizes)
    gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
    if gaps:
        return Problem(
            "missing_slices", f"{place} lacks {gaps} of the slices {numbers[0]}..{numbers[-1]}. The study is left out.", uid
        )
    cut = _first_cut(images, sizes)
    if cut is not None:
        return Problem("truncated_slice", f"{place}/{cut} is cut off or not a DICOM file. The study is left out.", uid)
    return None


def _first_cut(images: Path, sizes: Mapping[str, int]) -> str | None:
    """Returns a file that ends too early; of uncompressed images, which are alike, only the smallest is tried."""
    smallest = min(sizes, key=lambda name: (sizes[name], name))
    try:
        with (images / smallest).open("rb") as file:
            header = pydicom.dcmread(file, stop_before_pixels=True)
            syntax, left = header.file_meta.TransferSyntaxUID, sizes[smallest] - file.tell()
            if syntax.is_deflated:
                return None
            if not syntax.is_compressed:
                pixels = int(header.Rows) * int(header.Columns) * int(header.BitsAllocated) // 8
                return None if left >= pixels + (8 if syntax.is_implicit_VR else 12) else smallest
        return next((name for name in sorted(sizes) if not _reaches_its_end(images / name)), None)
    except Exception:  # pydicom raises whatever comes up over a damaged header
        return smallest


def _reaches_its_end(path: Path) -> bool:
    """Says whether the fragments of compressed pixels are closed."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return _END_OF_FRAGMENTS in file.read()


def check_masks(folder: Path, known: Collection[str], problems: list[Problem]) -> dict[str, Path]:
    """Returns the masks that can be opened, by study; what cannot be used is added to ``problems``."""
    masks: dict[str, Path] = {}
    if not folder.is_dir():
        return masks
    for path in sorted(folder.iterdir()):
        uid = path.name.removesuffix(".gz").removesuffix(".nii")
        if uid == path.name or path.name.startswith("."):
            problem = _misnamed(path, known)
        elif uid not in known:
            text = f"segmentations/{path.name} belongs to no study of train.csv; it is left out."
            problem = Problem("unknown_mask", text, uid)
        elif uid in masks:
            text = f"segmentations/{path.name} is a second mask of a study; {masks[uid].name} is used."
            problem = Problem("duplicate_mask", text, uid)
        elif (fault := _mask_fault(path)) is not None:
            text = f"segmentations/{path.name} cannot be read as a mask ({fault}); the study is used without it."
            problem = Problem("bad_mask", text, uid)
        else:
            masks[uid], problem = path, None
        if problem is not None:
            problems.append(problem)
    return masks


def _misnamed(path: Path, known: Collection[str]) -> Problem | None:
    """Returns files that are no masks by their names, but seem to be meant as such."""
    meant = {path.stem, Path(path.stem).stem} & set(known)
    if path.name.startswith(".") or not (meant or path.name.lower().endswith((".nii", ".nii.gz"))):
        return None
    text = f"segmentations/{path.name} is not named <StudyInstanceUID>.nii or .nii.gz; it is left out."
    return Problem("unknown_mask", text, min(meant, default=None))


def _mask_fault(path: Path) -> str | None:
    """Returns why a mask cannot be opened, assessed by its header and its size."""
    try:
        image = nibabel.load(path)
        shape = image.shape
        if len(shape) != 3:
            return f"it needs three axes and has {len(shape)}"
        needed = int(image.dataobj.offset) + int(shape[0]) * int(shape[1]) * int(shape[2]) * image.get_data_dtype().itemsize
        if path.suffix == ".nii" and path.stat().st_size < needed:
            return f"it needs {needed} bytes and has {path.stat().st_size}"
    except Exception as error:  # so does nibabel
        return one_line(str(error).splitlines()[0], 120) if str(error) else type(error).__name__
    return None
