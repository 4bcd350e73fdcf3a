"""The series that an object is about: what to copy of it, and what to cite."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.base import SOPClass
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import format_number_as_ds

from cspine.geometry import Grid
from cspine.reading.origin import read_header
from cspine.reading.quiet import quiet
from cspine.reporting.dicom.encoded import item, text
from cspine.reporting.dicom.identity import ascii_text, derived_uid, moment_of
from cspine.reporting.once import once_per_result
from cspine.results import Reason, StudyResult, StudyStatus
from cspine.study import SourceSlice, Study

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
        common: What its images have in common: study, series and plane, nothing about the patient.
        slices: Its images, as the study has them.
        notes: What had to be completed.
    """

    header: Dataset = field(repr=False)
    common: Dataset = field(repr=False)
    slices: tuple[SourceSlice, ...] = field(repr=False)
    notes: tuple[Reason, ...]

    def frame(self, index: int) -> int | None:
        """Returns which frame of its object an image is, from 1; ``None`` where the object is that image alone."""
        return self.slices[index].frame_number

    def position(self, index: int) -> list[str]:
        """Returns the Image Position (Patient) of an image."""
        return _decimals(self.slices[index].position_mm)

    def reference(self, index: int) -> tuple[str, str]:
        """Returns SOP Class UID and SOP Instance UID of the object of an image."""
        source = self.slices[index]
        return source.sop_class_uid or str(self.header.SOPClassUID), source.sop_instance_uid

    def image(self, index: int) -> Dataset:
        """Returns an image as a single-frame one without pixels; frames of one object share its identity."""
        image = Dataset(dict(self.common.items()))
        with quiet("pydicom"):
            image.SOPClassUID, image.SOPInstanceUID = self.reference(index)
            image.ImagePositionPatient = self.position(index)
        return image


@once_per_result
def references_to(source: SourceSeries) -> bytes:
    """Returns references to all objects of a series, each once, as encoded items."""
    objects = dict.fromkeys(source.reference(index) for index in range(len(source.slices)))
    return b"".join(item(*reference(*one)) for one in objects)


def reference(sop_class_uid: str, sop_instance_uid: str) -> tuple[bytes, bytes]:
    """Returns the two elements of a reference, encoded."""
    return text("ReferencedSOPClassUID", sop_class_uid), text("ReferencedSOPInstanceUID", sop_instance_uid)


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
        return SourceSeries(header, _common(header, study.plane(0)), study.sources, notes)


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


def _common(header: Dataset, plane: Grid) -> Dataset:
    """Returns what all images of a series have in common; ``plane`` is that of any of them."""
    common = Dataset()
    common.StudyInstanceUID, common.SeriesInstanceUID = header.StudyInstanceUID, header.SeriesInstanceUID
    common.Modality, common.FrameOfReferenceUID = ascii_text(header.get("Modality") or "CT"), header.FrameOfReferenceUID
    common.Rows, common.Columns = plane.shape[1:]
    common.ImageOrientationPatient = header.get("ImageOrientationPatient") or _decimals(plane.directions[:, (2, 1)].T.ravel())
    common.PixelSpacing = header.get("PixelSpacing") or _decimals(plane.spacing_mm[1:])
    common.SliceThickness = header.get("SliceThickness") or format_number_as_ds(plane.spacing_mm[0])
    for keyword in _EMPTY:
        setattr(common, keyword, None)
    return common


def _decimals(values: Any) -> list[str]:
    return [format_number_as_ds(float(value) + 0.0) for value in np.asarray(values, dtype=np.float64)]
