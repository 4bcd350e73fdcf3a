"""A NIfTI file as a volume, slice by slice."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel
import numpy as np
from numpy.typing import NDArray

from cspine.concurrency.handover import not_needed, room
from cspine.errors import StudyError
from cspine.geometry import Grid, Shape
from cspine.reading import limits
from cspine.reading.choosing import SeriesSummary, orientation_of_grid, refused
from cspine.reading.hounsfield import check_hounsfield
from cspine.reading.messages import Notice, Refusal
from cspine.reading.quiet import quiet
from cspine.study import ReadingWarning, Study
from cspine.volume import AIR_HU, Volume

_HEADER_BYTES = 540
_MOST_EXTENSIONS = 1 << 20
_RAS_TO_LPS = np.diag((-1.0, -1.0, 1.0, 1.0))
_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_PIECE = 1 << 20
_FARTHEST_APART_MM = 1.0
_SAME_STEPS = 0.05
_LEAST_INT16, _MOST_INT16 = np.iinfo(np.int16).min, np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True)
class _Head:
    """Holds what the header says.

    Attributes:
        grid: Where the voxels lie.
        dtype: Type of a stored value.
        skipped: Bytes between those that were read for the header and the voxels.
        begun: Bytes of voxels that were read with the header.
        slope: Factor from stored to meant.
        intercept: Summand.
        notices: What is unusual.
    """

    grid: Grid
    dtype: np.dtype[Any]
    skipped: int
    begun: bytes = field(repr=False)
    slope: float
    intercept: float
    notices: tuple[ReadingWarning, ...]


@dataclass(frozen=True, slots=True)
class Slices:
    """Holds what is in a NIfTI file, whatever it is of.

    Attributes:
        grid: Where the voxels lie.
        notices: What is unusual about the header.
        values: Slice by slice ``(y, x)``, scaled as the header says. A caller that takes the last one has read the file to its end,
            so that its checksum is known to be right.
        whole: Whether they are whole numbers.
    """

    grid: Grid
    notices: tuple[ReadingWarning, ...]
    values: Iterator[NDArray[Any]] = field(repr=False)
    whole: bool = False


def name_of(name: str) -> str:
    """Returns what to call a study: the file without its endings."""
    base = Path(name).name
    return base.removesuffix(".gz").removesuffix(".nii") or base


def read(file: BinaryIO, name: str) -> Study:
    """Reads the volume of a NIfTI file, packed with gzip or not.

    Args:
        file: Open at its beginning.
        name: What to call it.

    Raises:
        StudyError: It cannot be read, has no place, or is no single grey volume.
        PixelError: Its values cannot be Hounsfield units.
    """
    return _study_of(slices_of(file, name), name)


def _study_of(slices: Slices, name: str) -> Study:
    hu, bad = _voxels(slices)
    unusual = check_hounsfield(hu, name)
    notices = (*slices.notices, *unusual, *((Notice.NOT_FINITE.warning(count=bad),) if bad else ()))
    return Study(name_of(name), Volume(hu, slices.grid), None, None, orientation_of_grid(slices.grid), (), notices)


def read_image(image: nibabel.Nifti1Pair, name: str) -> Study:
    """Reads an image that a program holds, as :func:`read` does its file.

    Args:
        image: A NIfTI image of nibabel, with its values in memory or still in its file.
        name: What to call it.

    Raises:
        StudyError: Its file cannot be read, it has no place, or is no single grey volume.
        PixelError: Its values cannot be Hounsfield units.
    """
    with quiet("nibabel.global"):
        shape = _checked_shape(image.shape, image.dataobj.dtype, name)
        affine, notices = _affine(_header_of(image), name)
        grid = _grid((shape[2], shape[1], shape[0]), affine, name)
        try:
            values = np.asanyarray(image.dataobj).reshape(shape)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise Refusal.NIFTI_BROKEN_OFF.error(name=name, cause=error) from error
    slices = (values[..., index].T for index in range(shape[2]))
    return _study_of(Slices(grid, notices, slices, values.dtype.kind in "iu"), name)


def _header_of(image: nibabel.Nifti1Pair) -> Any:
    """Returns the header, with the affine of the image where somebody changed that since."""
    header = image.header.copy()
    if image.affine is not None and not np.allclose(header.get_best_affine(), image.affine):
        header.set_sform(image.affine, code="aligned")
    return header


def slices_of(file: BinaryIO, name: str) -> Slices:
    """Reads the grid and the values of a NIfTI file, packed with gzip or not; taking the values may raise like this.

    Args:
        file: Open at its beginning, and until the last slice is taken.
        name: What to call it.

    Raises:
        StudyError: It cannot be read or unpacked whole, has no place, or is no single grey volume.
    """
    file = _unpacked(file)
    with quiet("nibabel.global"):
        head = _head(file, name)
    whole = head.dtype.kind in "iu" and head.slope == 1 and head.intercept == round(head.intercept)
    return Slices(head.grid, head.notices, _values(file, head, name), whole)


def summary(file: BinaryIO, name: str, place: Path) -> SeriesSummary:
    """Describes a NIfTI file in a few words; where it is refused, gives the reason."""
    try:
        study = read(file, name)
    except StudyError as error:
        return refused(place, error, "NIfTI")
    grid = study.volume.grid
    return SeriesSummary(
        place=place,
        name="",
        series_uid=None,
        study_uid=None,
        modality="",
        orientation=study.orientation,
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        extent_mm=grid.extent_mm,
        images=grid.shape[0],
        kernel="",
        storage="NIfTI",
        problems=study.warnings,
        chosen=True,
        reason="used",
    )


def _unpacked(file: BinaryIO) -> BinaryIO:
    """Returns the plain bytes. Nothing is read twice: a member of a zip gives up its checksum at the first step back."""
    packed = cast(BufferedReader, file).peek(2)[:2] == b"\x1f\x8b"
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file


def _bytes(file: BinaryIO, count: int, name: str) -> bytes:
    try:
        return file.read(count)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise Refusal.NIFTI_BROKEN_OFF.error(name=name, cause=error) from error


def _check_rest(file: BinaryIO, name: str) -> None:
    """Reads on to the end, where a packed file has its checksum and its length; nothing of it is kept."""
    count = 0
    while data := _bytes(file, _PIECE, name):
        count += len(data)
        if count > limits.MAX_TRAILING_BYTES:
            cause = f"more than {limits.MAX_TRAILING_BYTES} bytes follow its voxels"
            raise Refusal.NIFTI_DAMAGED.error(name=name, cause=cause)


def _head(file: BinaryIO, name: str) -> _Head:
    start = _bytes(file, _HEADER_BYTES, name)
    try:
        header = _parsed(start)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        slope, intercept = header.get_slope_inter()
        offset = int(header.get_data_offset())
    # nibabel raises many kinds on a damaged header
    except Exception as error:
        raise Refusal.NIFTI_DAMAGED.error(name=name, cause=type(error).__name__) from error
    shape = _checked_shape(shape, dtype, name)
    least = int(header.sizeof_hdr) if hasattr(header, "sizeof_hdr") else len(header.binaryblock)
    if not least <= offset <= _MOST_EXTENSIONS:
        raise Refusal.NIFTI_DAMAGED.error(name=name, cause=f"its voxels begin at byte {offset}")
    affine, notices = _affine(header, name)
    grid = _grid((shape[2], shape[1], shape[0]), affine, name)
    scale = 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)
    if abs(scale[0]) > limits.STEEPEST_SLOPE or abs(scale[1]) > limits.FARTHEST_INTERCEPT:
        raise Refusal.BAD_RESCALE.error(name=name, found=f"{scale[0]:g} and {scale[1]:g}")
    return _Head(grid, dtype, max(0, offset - len(start)), start[offset:], *scale, notices)


def _checked_shape(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Shape:
    """Returns the three sizes ``(x, y, z)`` of a volume of numbers."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 2:
        raise Refusal.NIFTI_DIMENSIONS.error(name=name, shape=" x ".join(map(str, shape)))
    if dtype.kind not in "iuf":
        raise Refusal.NIFTI_COLOUR.error(name=name, kind="colours" if dtype.kind == "V" else dtype.name)
    if max(shape) > limits.MAX_SIDE or shape[0] * shape[1] * shape[2] > limits.MAX_VOXELS:
        raise Refusal.TOO_LARGE.error(limit=limits.MAX_VOXELS, uid=name, slices=shape[2], rows=shape[1], columns=shape[0])
    return shape[0], shape[1], shape[2]


def _parsed(start: bytes) -> Any:
    """Reads the header, NIfTI-1 or NIfTI-2, of either byte order."""
    kind = (
        nibabel.Nifti2Header
        if 540 in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
        else nibabel.Nifti1Header
    )
    size = 540 if kind is nibabel.Nifti2Header else 348
    if len(start) < size or start[4 if size == 540 else 344 :][:2] not in (b"n+", b"ni"):
        raise ValueError
    return kind(start[:size])


def _affine(header: Any, name: str) -> tuple[NDArray[np.float64], tuple[ReadingWarning, ...]]:
    """Returns the map from voxel ``(i, j, k)`` to RAS millimetres: the sform where there is one, else the qform."""
    try:
        sform, _ = header.get_sform(coded=True)
        qform, _ = header.get_qform(coded=True)
        unit = _MILLIMETRES[header.get_xyzt_units()[0]]
    # a damaged quaternion or an unknown unit raises in many ways
    except Exception as error:
        raise Refusal.NIFTI_DAMAGED.error(name=name, cause=type(error).__name__) from error
    if sform is None and qform is None:
        raise Refusal.NIFTI_NO_PLACE.error(name=name)
    affine = np.array(qform if sform is None else sform, dtype=np.float64)
    notices = tuple(_doubts(affine, qform, header, unit))
    affine[:3] *= unit
    return affine, notices


def _doubts(
    affine: NDArray[np.float64], other: NDArray[np.float64] | None, header: Any, millimetres: float
) -> Iterator[ReadingWarning]:
    """Yields a warning where the header says in two ways that disagree where voxels lie."""
    if other is not None:
        corners = np.array([*product(*((0, side - 1) for side in header.get_data_shape()[:3]), (1,))])
        distance = float(np.linalg.norm(corners @ (affine - other).T, axis=1).max()) * millimetres
        if not distance <= _FARTHEST_APART_MM:
            yield Notice.NIFTI_FORMS_DISAGREE.warning(distance=distance)
            return
    steps, stated = np.linalg.norm(affine[:3, :3], axis=0), np.abs(np.array(header.get_zooms()[:3], dtype=np.float64))
    if np.any(stated > 0) and not np.allclose(stated, steps, rtol=_SAME_STEPS, atol=0):
        used, other_steps = (" x ".join(f"{step * millimetres:.3g}" for step in three) for three in (steps, stated))
        yield Notice.NIFTI_STEPS_DISAGREE.warning(used=used, stated=other_steps)


def _grid(shape: Shape, affine: NDArray[np.float64], name: str) -> Grid:
    world = _RAS_TO_LPS @ affine
    spacing = np.linalg.norm(world[:3, :3], axis=0)
    steps = f"steps of {spacing.round(4).tolist()} mm"
    if np.all(np.isfinite(world)) and not (limits.FINEST_MM <= spacing.min() <= spacing.max() <= limits.COARSEST_MM):
        raise Refusal.NIFTI_STEPS.error(finest=limits.FINEST_MM, coarsest=limits.COARSEST_MM, name=name, found=steps)
    if not np.all(np.isfinite(world)) or np.abs(np.linalg.det(world[:3, :3] / spacing)) < 0.1:
        raise Refusal.BAD_GEOMETRY.error(uid=name, found=f"an affine with {steps}")
    world[:3, :3] = world[:3, 2::-1]
    return Grid(shape, world)


def _values(file: BinaryIO, head: _Head, name: str) -> Iterator[NDArray[np.float64]]:
    """Yields slice by slice what the stored values mean, and raises at the end where the file turns out to be damaged."""
    shape = head.grid.shape
    size = shape[1] * shape[2] * head.dtype.itemsize
    _bytes(file, head.skipped, name)
    begun = head.begun
    for index in range(shape[0]):
        data = begun[:size] + _bytes(file, max(0, size - len(begun)), name)
        begun = begun[size:]
        if len(data) < size:
            raise Refusal.NIFTI_TRUNCATED.error(name=name, wanted=size * shape[0], found=size * index + len(data))
        if index == shape[0] - 1:
            _check_rest(file, name)
        stored = np.frombuffer(data, head.dtype).reshape(shape[1:])
        with np.errstate(over="ignore", invalid="ignore"):
            meant: NDArray[np.float64] = stored.astype(np.float64) * head.slope + head.intercept
        yield meant


def _voxels(slices: Slices) -> tuple[NDArray[Any], int]:
    """Returns Hounsfield units ``(z, y, x)``, int16 where they are whole numbers, and how many were not numbers."""
    hu, bad = room(slices.grid.shape, np.int16 if slices.whole else np.float32), 0
    for index, values in enumerate(slices.values):
        if hu.dtype == np.int16 and values.max() > _MOST_INT16:
            hu = _in_float32(hu)
        too_low = (
            hu.dtype == np.int16 and values.min() < _LEAST_INT16
        )  # air; never so of unsigned values, which have no room for it
        with np.errstate(over="ignore"):
            hu[index] = np.maximum(values, _LEAST_INT16) if too_low else values
        wrong = ~np.isfinite(hu[index])
        if wrong.any():
            bad += int(np.count_nonzero(wrong))
            hu[index][wrong] = AIR_HU
        np.putmask(hu[index], hu[index] < limits.AIR_BELOW_HU, hu.dtype.type(AIR_HU))
    return hu, bad


def _in_float32(hu: NDArray[np.int16]) -> NDArray[np.float32]:
    wide = room(hu.shape)
    wide[...] = hu
    not_needed(hu)
    return wide
