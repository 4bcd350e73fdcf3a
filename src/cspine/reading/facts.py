"""Reads what a DICOM header says about its series, its plane and its values."""

import math
from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset

from cspine.geometry import Vector
from cspine.reading.attributes import Attributes, number_in
from cspine.reading.frames import ImagePlane, Rescale, SeriesFacts
from cspine.reading.tables import table_of


class DamagedFileError(Exception):
    """A file begins like DICOM but cannot be parsed; the cause is one line."""


class WrongNumberError(DamagedFileError):
    """An attribute that must hold numbers holds something else."""


def series_facts(dataset: Attributes) -> SeriesFacts:
    """Returns what a header says about its series."""
    words = ("SeriesDescription", "ProtocolName", "BodyPartExamined", "StudyDescription")
    return SeriesFacts(
        study_uid=text_of(dataset, "StudyInstanceUID"),
        series_uid=text_of(dataset, "SeriesInstanceUID"),
        sop_class_uid=text_of(dataset, "SOPClassUID"),
        modality=text_of(dataset, "Modality").upper(),
        image_type=upper(dataset.get("ImageType")),
        kernel=joined(dataset.get("ConvolutionKernel")),
        words=" ".join(text_of(dataset, word) for word in words).upper(),
        frame_of_reference_uid=text_of(dataset, "FrameOfReferenceUID") or None,
        description=text_of(dataset, "SeriesDescription").upper(),
        rescale_type=joined(dataset.get("RescaleType")),
        energy_kev=number_in([dataset.get("MonoenergeticEnergyEquivalent")]),
    )


def plane_of(value: Callable[[str], object]) -> ImagePlane | None:
    """Returns where an image lies, or ``None`` where its header does not say."""
    position = numbers_of(value, "ImagePositionPatient", 3)
    directions = numbers_of(value, "ImageOrientationPatient", 6)
    pixel_mm = numbers_of(value, "PixelSpacing", 2)
    if position is None or directions is None or pixel_mm is None:
        return None
    return ImagePlane(_vector(position), _vector(directions[:3]), _vector(directions[3:]), (pixel_mm[0], pixel_mm[1]))


def rescale_of(dataset: Attributes, value: Callable[[str], object]) -> Rescale:
    """Returns what stored values mean."""
    slope, intercept = numbers_of(value, "RescaleSlope", 1), numbers_of(value, "RescaleIntercept", 1)
    padding = dataset.get("PixelPaddingValue")
    limit = dataset.get("PixelPaddingRangeLimit", padding)
    first_last = None
    if isinstance(padding, int) and isinstance(limit, int):
        first_last = min(padding, limit), max(padding, limit)
    return Rescale(
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        lacking=tuple(name for name, found in (("Slope", slope), ("Intercept", intercept)) if not found),
        padding=first_last,
        table=table_of(dataset, bool(dataset.get("PixelRepresentation"))) if isinstance(dataset, Dataset) else None,
    )


def text_of(dataset: Attributes, keyword: str) -> str:
    """Returns a text attribute; empty where there is none."""
    return str(dataset.get(keyword) or "").strip()


def joined(value: object) -> str:
    """Returns the values of an attribute in upper case, as one text."""
    return "\\".join(upper(value))


def upper(value: object) -> tuple[str, ...]:
    """Returns the values of an attribute in upper case."""
    if not value:
        return ()
    values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return tuple(str(v).strip().upper() for v in values)


def numbers_of(value: Callable[[str], object], keyword: str, count: int) -> tuple[float, ...] | None:
    """Returns ``count`` finite numbers, or ``None`` where the value is absent.

    Raises:
        WrongNumberError: There is a value, but it is something else.
    """
    try:
        found = value(keyword)
        values = found if isinstance(found, Sequence) and not isinstance(found, str) else [found]
        if found is None or found == "" or not values:
            return None
        if isinstance(values[0], Dataset):
            raise DamagedFileError(f"{keyword} is a sequence")
        numbers = tuple(float(str(v)) for v in values)
    except (ValueError, OverflowError, TypeError) as error:
        raise WrongNumberError(f"{keyword} is not a number") from error
    if count == 1 and len(set(numbers)) == 1:
        numbers = numbers[:1]
    if len(numbers) != count or not all(math.isfinite(n) for n in numbers):
        raise WrongNumberError(f"{keyword} needs {count} finite numbers and has {len(numbers)} values")
    return numbers


def _vector(numbers: Sequence[float]) -> Vector:
    return numbers[0], numbers[1], numbers[2]
