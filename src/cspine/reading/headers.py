"""Turns the bytes of a DICOM file into frames.

pydicom parses; pixels are only located. A file that is no DICOM gives nothing, one that begins like DICOM but cannot be parsed
raises :class:`DamagedFileError`.
"""

import io
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial

from cspine.reading import limits
from cspine.reading.attributes import Attributes, acquisition_of, number_in, overlay_bits, with_points, with_texts_as_claimed
from cspine.reading.effort import CostlyError, check_cost
from cspine.reading.facts import (
    DamagedFileError,
    WrongNumberError,
    joined,
    plane_of,
    rescale_of,
    series_facts,
    text_of,
    upper,
)
from cspine.reading.frames import Acquisition, Frame, PixelFormat, PixelPlace, SeriesFacts
from cspine.reading.messages import Refusal
from cspine.reading.places import FileEntry, Place
from cspine.reading.quiet import quiet
from cspine.reading.representations import RepresentationError, standardised
from cspine.reading.well_formed import NotWellFormedError, WellFormedHeader, well_formed_header

AnyHeader = TypeVar("AnyHeader", Dataset, WellFormedHeader)

_PREFIX = 1 << 16
_PARTS = (_PREFIX, 1 << 22, limits.MAX_HEADER_BYTES)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_MOST_FRAMES = 20_000


@dataclass(frozen=True, slots=True)
class _Header(Generic[AnyHeader]):
    dataset: AnyHeader
    transfer_syntax: str
    offset: int
    length: int | None
    has_pixels: bool = True
    big_endian: bool = False
    deflated: bool = False
    has_commas: bool = False


def beginning_of(place: Place, entry: FileEntry) -> bytes:
    """Reads the first bytes of a file, which hold the header of most.

    Raises:
        StudyError: It cannot be read from the disk.
    """
    return place.read(entry, 0, _PREFIX)


def frames_of(place: Place, entry: FileEntry, start: bytes | None = None) -> tuple[Frame, ...]:
    """Returns the images of a file; none where it is not a DICOM image.

    Args:
        place: Where the file is.
        entry: The file.
        start: Of :func:`beginning_of`, where it was read already.

    Raises:
        DamagedFileError: It begins like DICOM but cannot be parsed.
        StudyError: It cannot be read from the disk.
    """
    start = beginning_of(place, entry) if start is None else start
    if not looks_like_dicom(start):
        return ()
    if entry.size > limits.MAX_FILE_BYTES:
        raise Refusal.FILE_TOO_BIG.error(limit=limits.MAX_FILE_BYTES, name=entry.name, size=entry.size)
    with quiet("pydicom"):
        with suppress(NotWellFormedError, DamagedFileError):  # damage is reported where the data set is parsed
            return _frames_of_well_formed(entry, start)
        return _frames_of(place, entry, start)


def header_of(place: Place, entry: FileEntry) -> Dataset:
    """Reads all attributes of a DICOM file before its pixels.

    Raises:
        DamagedFileError: It cannot be parsed.
        StudyError: It cannot be read from the disk.
    """
    with quiet("pydicom"):
        header = _header_of(place, entry, beginning_of(place, entry)).dataset
        with_texts_as_claimed(header)
        return header


def _header_of(place: Place, entry: FileEntry, start: bytes) -> _Header[Dataset]:
    """Reads the header, from the first bytes of the file alone where they hold it."""
    if _DEFLATED in start[:4096]:
        return _parsed(place.read(entry))
    for count in _PARTS:
        data = start if count == _PREFIX else place.read(entry, 0, count)
        if count > _PREFIX:
            _check_cost(data)
        if len(data) == entry.size:
            return _parsed(data)
        header = _attempt(data)
        if header is not None and header.has_pixels:
            return header
    raise DamagedFileError(f"nothing but header in its first {limits.MAX_HEADER_BYTES} bytes")


def _frames_of_well_formed(entry: FileEntry, start: bytes) -> tuple[Frame, ...]:
    if _DEFLATED in start[:4096]:
        raise NotWellFormedError
    header = well_formed_header(start)
    return _frames(_Header(header, header.transfer_syntax, header.offset, header.length), entry)


def _frames_of(place: Place, entry: FileEntry, start: bytes) -> tuple[Frame, ...]:
    header = _header_of(place, entry, start)
    try:
        return _frames(header, entry)
    except DamagedFileError:
        raise
    # pydicom converts values when they are asked for, and damaged ones raise nearly anything
    except Exception as error:
        raise DamagedFileError(type(error).__name__) from error


def looks_like_dicom(start: bytes) -> bool:
    """Says whether bytes begin a DICOM file, with or without its preamble."""
    if start[128:132] == b"DICM":
        return True
    group, element, length = (int.from_bytes(start[a:b], "little") for a, b in ((0, 2), (2, 4), (4, 8)))
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return len(start) > 16 and group in (0x0002, 0x0008) and element <= 0x0100 and (explicit or length <= 256)


def plain(data: bytes) -> tuple[bytes, bool]:
    """Returns a DICOM file with its data set inflated, where it was deflated, and whether it was.

    Raises:
        DamagedFileError: It cannot be inflated, or inflates beyond the limit.
    """
    if _DEFLATED not in data[:4096] or data[128:132] != b"DICM":
        return data, False
    begin = 132 + 12 + int.from_bytes(data[140:144], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(limits.MAX_FILE_BYTES, max(limits.MIN_INFLATED_BYTES, limits.MAX_INFLATION * len(data)))
    try:
        inflated = inflater.decompress(data[begin:], most)
    except zlib.error as error:
        raise DamagedFileError(str(error)) from error
    if inflater.unconsumed_tail:
        raise DamagedFileError(f"it inflates to more than {most} bytes")
    # the same length, so that the group length stays right
    meta = data[:begin].replace(_DEFLATED, _DEFLATED[:-3] + b"\0\0\0")
    return meta + inflated, True


def _attempt(start: bytes) -> _Header[Dataset] | None:
    try:
        return _parsed(start)
    except DamagedFileError:
        return None


def _parsed(data: bytes) -> _Header[Dataset]:
    data, deflated = plain(data)
    if deflated:
        _check_cost(data)
    file, found = io.BytesIO(data), [0, 0]

    def at_pixels(tag: int, _vr: str | None, length: int) -> bool:
        if tag == _PIXEL_DATA:
            found[:] = file.tell(), length
        return tag >= _PIXEL_DATA - 8 and tag >> 16 == _PIXEL_DATA >> 16

    try:
        dataset = read_partial(file, at_pixels, force=True)
        syntax, has_commas = text_of(dataset.file_meta, "TransferSyntaxUID"), with_points(dataset)
        _, little = dataset.original_encoding
    # a damaged file raises nearly anything in pydicom: struct.error, RecursionError, NotImplementedError …
    except Exception as error:
        raise DamagedFileError(type(error).__name__) from error
    offset, length = found
    return _Header(
        dataset,
        transfer_syntax=syntax,
        offset=offset,
        length=None if length == _UNDEFINED else length,
        has_pixels=offset > 0,
        big_endian=not little,
        deflated=deflated,
        has_commas=has_commas,
    )


def _check_cost(data: bytes) -> None:
    try:
        check_cost(data)
    except CostlyError as error:
        raise DamagedFileError(str(error)) from error


def _frames(header: _Header[AnyHeader], entry: FileEntry) -> tuple[Frame, ...]:
    dataset = header.dataset
    if "Rows" not in dataset and "Columns" not in dataset:
        return ()
    misdeclared = _standardised(dataset) if isinstance(dataset, Dataset) else ()
    count = int(dataset.get("NumberOfFrames") or 1)
    if not 1 <= count <= _MOST_FRAMES:
        raise DamagedFileError(f"it says {count} frames")
    place = PixelPlace(entry, header.offset, header.length, header.deflated, 0, count) if header.has_pixels else None
    first = Frame(
        sop_instance_uid=text_of(dataset, "SOPInstanceUID"),
        series=series_facts(dataset),
        plane=plane_of(dataset.get),
        pixels=_pixel_format(dataset, header.transfer_syntax, header.big_endian),
        rescale=rescale_of(dataset, dataset.get),
        place=place,
        acquisition=acquisition_of(dataset),
        has_commas=header.has_commas,
        misdeclared=misdeclared,
    )
    if isinstance(dataset, Dataset) and "PerFrameFunctionalGroupsSequence" in dataset:
        return _enhanced(dataset, first)
    if count == 1:
        return (first,)
    # one position for many frames is none
    return tuple(replace(first, plane=None, place=place and replace(place, frame=i)) for i in range(count))


def _enhanced(dataset: Dataset, first: Frame) -> tuple[Frame, ...]:
    """Returns the frames of an enhanced multi-frame object, each with its own place, rescale and acquisition."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    groups = dataset.PerFrameFunctionalGroupsSequence
    count = first.place.frames if first.place else len(groups)
    if len(groups) != count:
        raise DamagedFileError(f"it says {count} frames and describes {len(groups)}")
    commas = sum(_with_points_in(group) for group in (shared, *groups)) > 0
    misdeclared = dict.fromkeys(name for group in (shared, *groups) for item in _items(group) for name in _standardised(item))
    frames = []
    for index, group in enumerate(groups):
        value = _lookup(group, shared)
        frames.append(
            replace(
                first,
                series=_series_of_frame(first.series, value),
                plane=plane_of(value),
                rescale=rescale_of(dataset, value),
                place=first.place and replace(first.place, frame=index),
                acquisition=_acquisition_of_frame(first.acquisition, value),
                has_commas=first.has_commas or commas,
                misdeclared=(*first.misdeclared, *misdeclared),
            )
        )
    return tuple(frames)


def _with_points_in(group: Dataset) -> bool:
    """Changes decimal commas of a functional group to points, in place; returns whether there were any."""
    return sum(with_points(item) for item in _items(group)) > 0


def _items(group: Dataset) -> list[Dataset]:
    """Returns the first item of each sequence of a functional group that is read."""
    found = (group.get(name) for name in set(_GROUPS.values()))
    return [items[0] for items in found if items]


def _standardised(dataset: Dataset) -> tuple[str, ...]:
    """Does the same as :func:`standardised`.

    Raises:
        WrongNumberError: An attribute that decides cannot be read as the standard says.
    """
    try:
        return standardised(dataset)
    except RepresentationError as error:
        raise WrongNumberError(str(error)) from error


_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "FrameType": "CTImageFrameTypeSequence",
    "ConvolutionKernel": "CTReconstructionSequence",
    "KVP": "CTXRayDetailsSequence",
    "StackID": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "FrameAcquisitionDateTime": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "InStackPositionNumber": "FrameContentSequence",
}


def _lookup(group: Dataset, shared: Dataset) -> Callable[[str], object]:
    def value(keyword: str) -> object:
        for functional in (group, shared):
            items = functional.get(_GROUPS[keyword])
            if items and keyword in items[0]:
                return items[0].get(keyword)
        return None

    return value


def _series_of_frame(facts: SeriesFacts, value: Callable[[str], object]) -> SeriesFacts:
    return replace(
        facts,
        image_type=upper(value("FrameType")) or facts.image_type,
        kernel=joined(value("ConvolutionKernel")) or facts.kernel,
        rescale_type=joined(value("RescaleType")) or facts.rescale_type,
    )


def _acquisition_of_frame(made: Acquisition, value: Callable[[str], object]) -> Acquisition:
    def text(keyword: str) -> str:
        found = value(keyword)
        return "" if found is None else str(found).strip()

    place = text("InStackPositionNumber")
    return replace(
        made,
        number=text("FrameAcquisitionNumber") or made.number,
        time=text("FrameAcquisitionDateTime") or made.time,
        instance=int(place) if place.isdecimal() else None,
        phase=text("TemporalPositionIndex") or made.phase,
        voltage=text("KVP") or made.voltage,
        thickness_mm=number_in([value("SliceThickness")]),
        stack=text("StackID"),
    )


def _pixel_format(dataset: Attributes, transfer_syntax: str, big_endian: bool) -> PixelFormat:
    allocated = int(dataset.get("BitsAllocated") or 0)
    stored = int(dataset.get("BitsStored") or allocated)
    return PixelFormat(
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=int(dataset.get("HighBit", stored - 1)),
        signed=bool(dataset.get("PixelRepresentation")),
        transfer_syntax=transfer_syntax,
        big_endian=big_endian,
        photometric=text_of(dataset, "PhotometricInterpretation").upper(),
        overlay_bits=overlay_bits(dataset) if stored < allocated else 0,
    )
