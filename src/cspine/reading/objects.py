"""Makes a study of what a program already holds: an array with its grid, a NIfTI image of nibabel, data sets of pydicom."""

import copy
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cspine.errors import GeometryError, StudyError, one_line
from cspine.geometry import Grid
from cspine.reading import dicom, limits, nifti
from cspine.reading.choosing import orientation_of_grid
from cspine.reading.hounsfield import check_hounsfield
from cspine.reading.messages import Notice, Refusal
from cspine.reading.places import FileEntry
from cspine.reading.quiet import quiet
from cspine.reading.studies import read_study
from cspine.study import Study
from cspine.volume import AIR_HU, Volume

AnyScan: TypeAlias = Study | Volume | NDArray[Any] | nibabel.Nifti1Pair | Dataset | Sequence[Dataset] | str | Path
"""What can be read as a study: a study, a volume, an array that comes with its grid, a NIfTI image of nibabel, one data set of
pydicom or those of a series, or a path."""

_WANTED = "a path, a Study, a Volume, an array with its Grid, a NIfTI image of nibabel, or the data sets of pydicom"


def as_study(scan: AnyScan, grid: Grid | None = None, name: str | None = None, series_uid: str | None = None) -> Study:
    """Returns a scan that a program holds as a study, checked like one that is read from files.

    Nothing that is given is changed. A study of data sets cites their SOP Instance UIDs, but not where they were read, so that
    DICOM objects cannot be made of it.

    Args:
        scan: An array ``(z, y, x)`` in Hounsfield units with its ``grid``, a volume, a NIfTI image, the data sets of a series in
            any order, or a path. A study is returned as it is.
        grid: Where the voxels of an array lie.
        name: What results call it; never a patient's name. By default that of its file, or what it is.
        series_uid: Which series, where data sets or files are of several.

    Raises:
        StudyError: It cannot be read as a study.
        PixelError: Its values cannot be Hounsfield units.
        GeometryError: An array does not have the shape of its grid.
    """
    if grid is not None:
        study = _of_array(scan, grid, name or "array")
    elif isinstance(scan, Volume):
        study = _of_array(scan.hu, scan.grid, name or "array")
    elif isinstance(scan, Study):
        study = scan
    elif isinstance(scan, str | Path):
        study = read_study(scan, series_uid)
    elif isinstance(scan, nibabel.Nifti1Pair):
        study = nifti.read_image(scan, Path(scan.get_filename() or "image").name)
    elif isinstance(scan, Dataset):
        study = _of_datasets([scan], name or "data sets", series_uid)
    elif isinstance(scan, Sequence) and len(scan) and all(isinstance(one, Dataset) for one in scan):
        study = _of_datasets(scan, name or "data sets", series_uid)
    else:
        raise StudyError(f"A scan is {_WANTED}. Received: {_described(scan)}.")
    return study if name is None else replace(study, name=name)


def _described(scan: object) -> str:
    if isinstance(scan, np.ndarray):
        return "an array without a grid"
    if isinstance(scan, Sequence):
        others = [type(one).__name__ for one in scan if not isinstance(one, Dataset)]
        return f"a {type(scan).__name__} with {others[0]} in it" if others else f"an empty {type(scan).__name__}"
    return f"{type(scan).__module__}.{type(scan).__name__}"


def _of_array(values: object, grid: object, name: str) -> Study:
    """Returns the study of an array ``(z, y, x)``; what is no number becomes air, as in files."""
    if not isinstance(grid, Grid):
        raise GeometryError(f"An array needs a cspine.geometry.Grid. Received: {type(grid).__name__}.")
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        found = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise StudyError(f"A grid comes with an array of numbers, Hounsfield units (z, y, x). Received: {found}.")
    if values.shape != grid.shape:
        raise GeometryError(f"An array must have the shape of its grid, {grid.shape}. Received: {values.shape}.")
    if min(grid.shape) < 2 or max(grid.shape) > limits.MAX_SIDE or values.size > limits.MAX_VOXELS:
        raise GeometryError(
            f"A scan needs 2 to {limits.MAX_SIDE} voxels along each side, and {limits.MAX_VOXELS} at most. Received: {grid.shape}."
        )
    if not limits.FINEST_MM <= min(grid.spacing_mm) <= max(grid.spacing_mm) <= limits.COARSEST_MM:
        steps = " x ".join(f"{step:.4g}" for step in grid.spacing_mm)
        raise GeometryError(
            f"Voxels {limits.FINEST_MM:g} to {limits.COARSEST_MM:g} mm apart are needed; the grid has {steps}. "
            "Give it in millimetres."
        )
    with np.errstate(over="ignore"):
        hu: NDArray[Any] = np.array(values, dtype=np.int16 if _fits_int16(values) else np.float32, order="C")
    wrong = ~np.isfinite(hu)
    bad = int(np.count_nonzero(wrong))
    hu[wrong] = AIR_HU
    np.putmask(hu, hu < limits.AIR_BELOW_HU, hu.dtype.type(AIR_HU))
    unusual = check_hounsfield(hu, name)
    notices = (*unusual, *((Notice.NOT_FINITE.warning(count=bad),) if bad else ()))
    return Study(name, Volume(hu, grid), None, None, orientation_of_grid(grid), (), notices)


def _fits_int16(values: NDArray[Any]) -> bool:
    """Says whether an array holds whole numbers, as far as its type tells, that int16 holds too."""
    ends = np.iinfo(np.int16)
    return values.dtype.kind in "iu" and bool(ends.min <= values.min() and values.max() <= ends.max)


def _of_datasets(datasets: Sequence[Dataset], name: str, series_uid: str | None) -> Study:
    place = _Datasets(datasets)
    return replace(dicom.read(place, dicom.find(place), series_uid, name), origin=None)


class _Datasets:
    """Data sets of pydicom as a place: each is the DICOM file that it would be."""

    path = Path("data sets")
    links = 0

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        if len(datasets) > limits.MAX_FILES:
            raise Refusal.TOO_MANY_FILES.error(limit=limits.MAX_FILES, place="the list of data sets")
        with quiet("pydicom"):
            self._files = {(name := f"data set {number}"): _written(one, name) for number, one in enumerate(datasets)}
        self.entries = tuple(FileEntry(name, len(data), 0) for name, data in self._files.items())

    def read(self, entry: FileEntry, start: int = 0, count: int | None = None) -> bytes:
        """See :meth:`cspine.reading.places.Place.read`."""
        end = entry.size if count is None else min(entry.size, start + count)
        return self._files[entry.name][start:end]

    def open(self, entry: FileEntry) -> BinaryIO:
        """See :meth:`cspine.reading.places.Place.open`."""
        return io.BytesIO(self._files[entry.name])


def _written(dataset: Dataset, name: str) -> bytes:
    """Returns a data set as a DICOM file; what it lacks of the head of one is filled in, in a copy.

    Raises:
        StudyError: pydicom cannot write it.
    """
    file = io.BytesIO()
    # pydicom raises nearly anything on elements that it cannot write
    try:
        made = copy.deepcopy(dataset)  # writing decides what representation an element has
        made.preamble, made.file_meta = bytes(128), getattr(made, "file_meta", FileMetaDataset())
        if "TransferSyntaxUID" not in made.file_meta:
            implicit, little = dataset.original_encoding
            uncompressed = ExplicitVRLittleEndian if little in (None, True) else ExplicitVRBigEndian
            made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit and little else uncompressed
        dcmwrite(file, made)
    except Exception as error:
        cause = one_line(f"{type(error).__name__}: {error}")
        raise StudyError(
            f"Data sets as pydicom reads them are needed; {name}, counted from 0, cannot be written as DICOM ({cause}). "
            "Read it again with pydicom.dcmread."
        ) from error
    return file.getvalue()
