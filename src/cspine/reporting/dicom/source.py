"""The series that an object is about: what to copy of it, and what to cite."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.base import SOPClass
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import format_number_as_ds

from cspine.reading.origin import read_header
from cspine.reading.quiet import quiet
from cspine.reporting.dicom.identity import ascii_text, derived_uid, moment_of
from cspine.reporting.once import once_per_result
from cspine.results import Reason, StudyResult, StudyStatus
from cspine.study import Study

_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)
"""What must stand in every object of a study, if without a value."""

_PLANE = ("ImageOrientationPatient", "PixelSpacing", "SliceThickness")
"""What images take from the header of the first, where it has it."""

NO_DICOM = Reason("no_dicom_source", "sr, seg and sc cite the images of a DICOM study. This scan is not one; give its DICOM files.")
NOT_CITABLE = Reason(
    "not_citable", "sr, seg and sc cite images by their SOP Instance UIDs. Those of this scan have none, or share one."
)
NOT_ASSESSED = Reason("not_assessed", "A scan that was not assessed gets no sr and no seg: they would be empty. sc says why.")


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """A DICOM series, for an object that is being written; never to be kept or shown.

    Attributes:
        header: Attributes of its first image, completed.
        images: One data set for each stored image: its identity and its plane, nothing about the patient.
        frames: For each of them which frame of its object it is, from 1; ``None`` where the object is that image alone.
        notes: What had to be completed.
    """

    header: Dataset = field(repr=False)
    images: tuple[Dataset, ...] = field(repr=False)
    frames: tuple[int | None, ...] = field(repr=False)
    notes: tuple[Reason, ...]

    @property
    def objects(self) -> tuple[Dataset, ...]:
        """Returns the images without repeating those that are frames of one object."""
        return tuple({image.SOPInstanceUID: image for image in reversed(self.images)}.values())[::-1]


@once_per_result
def source_of(study: Study) -> SourceSeries | Reason:
    """Returns what to cite, or why nothing can be cited.

    Raises:
        StudyError: The files of the study are gone, or are no longer those that were read.
    """
    if study.origin is None or not study.sources:
        return NO_DICOM
    if not study.is_citable:
        return NOT_CITABLE
    with quiet("pydicom"):
        header = read_header(study, study.origin)
        notes = _complete(header, study)
        common = _common(header)
        images = tuple(_image(study, index, common, header) for index in range(len(study.sources)))
        return SourceSeries(header, images, tuple(source.frame_number for source in study.sources), notes)


def clinical_source(result: StudyResult, study: Study) -> SourceSeries | Reason:
    """Returns the same for objects with clinical content, which only a study that was assessed can have."""
    could_be_cited = study.origin is not None and study.is_citable
    return NOT_ASSESSED if result.status is StudyStatus.REJECTED and could_be_cited else source_of(study)


def finish(made: SOPClass, source: SourceSeries, result: StudyResult) -> None:
    """Gives an object what all objects have in common: patient and study as the scan has them, and one moment."""
    header = source.header
    with quiet("pydicom"):
        for keyword in ("SpecificCharacterSet", "TimezoneOffsetFromUTC"):
            if keyword in header:
                made[keyword] = header[keyword]
        made.copy_patient_and_study_information(header)
        moment = moment_of(result, header)
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    made.SeriesDate, made.SeriesTime = date, time
    for stem in ("InstanceCreation", "Content"):
        setattr(made, f"{stem}Date", date)
        setattr(made, f"{stem}Time", time)
    for contribution in made.get("ContributingEquipmentSequence", ()):
        contribution.ContributionDateTime = date + time


def save(made: SOPClass, path: Path) -> None:
    """Writes an object."""
    with quiet("pydicom"):
        made.save_as(path, enforce_file_format=True)


def _complete(header: Dataset, study: Study) -> tuple[Reason, ...]:
    """Fills in what an object must have and the source, anonymised perhaps, lacks."""
    seed = study.series_uid or study.sources[0].sop_instance_uid
    if study.volume.grid.frame_of_reference_uid:
        header.FrameOfReferenceUID = study.volume.grid.frame_of_reference_uid
    values = {
        "StudyInstanceUID": derived_uid("study", seed),
        "SeriesInstanceUID": derived_uid("series", seed),
        "FrameOfReferenceUID": derived_uid("frame of reference", seed),
        "SOPClassUID": CTImageStorage,
    }
    if header.get("PatientIdentityRemoved") == "YES" and not header.get("DeidentificationMethodCodeSequence"):
        values["DeidentificationMethod"] = "Not stated by the source"
    filled = [keyword for keyword in values if not header.get(keyword)]
    emptied = [keyword for keyword in _EMPTY if keyword not in header]
    for keyword in (*filled, *emptied):
        setattr(header, keyword, values.get(keyword))
    texts = [f"{', '.join(keywords)} {how}" for keywords, how in ((filled, "filled in"), (emptied, "left empty")) if keywords]
    if not texts:
        return ()
    return (Reason("completed", f"The source lacks attributes that sr, seg and sc must have: {'; '.join(texts)}."),)


def _common(header: Dataset) -> Dataset:
    """Returns what all images of a series have in common; making it once saves most of the time that hundreds of images take."""
    common = Dataset()
    common.StudyInstanceUID, common.SeriesInstanceUID = header.StudyInstanceUID, header.SeriesInstanceUID
    common.Modality, common.FrameOfReferenceUID = ascii_text(header.get("Modality") or "CT"), header.FrameOfReferenceUID
    for keyword in _PLANE:
        if header.get(keyword):
            setattr(common, keyword, header.get(keyword))
    for keyword in _EMPTY:
        setattr(common, keyword, None)
    return common


def _image(study: Study, index: int, common: Dataset, header: Dataset) -> Dataset:
    """Returns a stored image as a single-frame image without pixels; frames of one object share its identity."""
    source, plane = study.sources[index], study.plane(index)
    image = Dataset(dict(common.items()))
    image.SOPClassUID, image.SOPInstanceUID = source.sop_class_uid or header.SOPClassUID, source.sop_instance_uid
    image.Rows, image.Columns = plane.shape[1:]
    image.ImagePositionPatient = _decimals(source.position_mm)
    if "ImageOrientationPatient" not in image:
        image.ImageOrientationPatient = _decimals(plane.directions[:, (2, 1)].T.ravel())
    if "PixelSpacing" not in image:
        image.PixelSpacing = _decimals(plane.spacing_mm[1:])
    if "SliceThickness" not in image:
        image.SliceThickness = format_number_as_ds(plane.spacing_mm[0])
    return image


def _decimals(values: Any) -> list[str]:
    return [format_number_as_ds(float(value) + 0.0) for value in np.asarray(values, dtype=np.float64)]
