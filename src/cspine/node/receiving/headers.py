"""Reads what the node must know of an image: whose it is, and what rules ask for. Pixels are never touched."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from cspine.errors import StudyError
from cspine.node.receiving.spool import check_uid
from cspine.node.store.nouns import Patient

IMAGES = frozenset({str(CTImageStorage), str(EnhancedCTImageStorage)})
"""SOP Classes that are taken; our own results are of others, so that they cannot come back in a loop."""

_LAST_NEEDED = 0x0020000E
_LONGEST = 200
_PATIENT = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession": "AccessionNumber",
    "study_date": "StudyDate",
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
}
_SCANNER = ("Manufacturer", "ManufacturerModelName")


@dataclass(frozen=True, slots=True)
class Identity:
    """Says which image a file holds.

    Attributes:
        sop_class: Its SOP Class UID.
        sop_uid: Its SOP Instance UID.
        series_uid: Its Series Instance UID.
        study_uid: Its Study Instance UID.
    """

    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """Holds what one image says about its series.

    Attributes:
        study_uid: Study Instance UID.
        patient: What it says of the patient.
        scanner: Manufacturer and model.
        kernel: Reconstruction kernel.
        values: What rules ask for, as text by keyword.
    """

    study_uid: str
    patient: Patient
    scanner: str
    kernel: str
    values: Mapping[str, str]


def read_identity(file: Path) -> Identity:
    """Reads which image a file holds, from its first elements only.

    Raises:
        StudyError: It is no image of a kind that is taken, or does not say which.
    """
    tags = [tag_for_keyword(name) for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")]
    try:
        with file.open("rb") as opened:
            read = read_partial(opened, stop_when=_is_behind, specific_tags=[tag for tag in tags if tag is not None])
        found = {
            name: str(read.get(name) or "") for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
        }
    except Exception as error:  # pydicom raises nearly anything over damaged bytes
        raise StudyError("A DICOM image is needed. These bytes cannot be read as one. Send it again.") from error
    if found["SOPClassUID"] not in IMAGES:
        raise StudyError("A CT image is needed. This object is of another SOP Class. Send CT series only.")
    return Identity(
        found["SOPClassUID"],
        check_uid(found["SOPInstanceUID"], "SOPInstanceUID"),
        check_uid(found["SeriesInstanceUID"], "SeriesInstanceUID"),
        check_uid(found["StudyInstanceUID"], "StudyInstanceUID"),
    )


def read_series_header(file: Path, asked: Collection[str] = ()) -> SeriesHeader:
    """Reads what an image says about its series; what cannot be read is empty, for the worker reports what is wrong.

    Args:
        file: The image.
        asked: Keywords that rules ask for.
    """
    keywords = {"StudyInstanceUID", "SpecificCharacterSet", "ConvolutionKernel", *_SCANNER, *_PATIENT.values(), *asked}
    try:
        tags = [tag for tag in map(tag_for_keyword, sorted(keywords)) if tag is not None]
        header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
    except Exception:  # as above
        header = Dataset()
    texts = {keyword: _text(header, keyword) for keyword in keywords}
    return SeriesHeader(
        study_uid=texts["StudyInstanceUID"][:64],
        patient=Patient(**{field: texts[keyword] for field, keyword in _PATIENT.items()}),
        scanner=" ".join(filter(None, (texts[keyword] for keyword in _SCANNER)))[:160],
        kernel=texts["ConvolutionKernel"][:64],
        values={keyword: texts[keyword] for keyword in asked if keyword in texts},
    )


def _is_behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > _LAST_NEEDED


def _text(header: Dataset, keyword: str) -> str:
    """Returns a value as text on one line, without what a database or a page cannot hold; empty where there is none."""
    try:
        value = header.get(keyword)
        text = "" if value is None else "\\".join(map(str, value)) if _is_several(value) else str(value)
    except Exception:  # damaged values raise when they are asked for
        return ""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _LONGEST])
    return plain.strip()[:_LONGEST]


def _is_several(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes) and type(value).__name__ == "MultiValue"


config.settings.reading_validation_mode = config.IGNORE  # the node takes what peers send; whether it is fit is the worker's to say
