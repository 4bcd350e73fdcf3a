"""One patient of a data set: where the images lie and what is known about them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SliceBox:
    """A box around a fracture on one stored image.

    Attributes:
        slice_number: InstanceNumber of the image, which is its file name; it says nothing about the order along the neck.
        x: Column of the left edge, in pixels.
        y: Row of the upper edge, in pixels.
        width: Columns.
        height: Rows.
    """

    slice_number: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Case:
    """One study: one patient, or one of several studies of a patient.

    Attributes:
        study_uid: Its Study Instance UID, which names its folders and files.
        images: The folder of its DICOM files.
        fractured: C1..C7; ``None`` where nothing is known, as for a test study.
        boxes: Boxes of its fractures. An empty tuple says nothing: three quarters of the positive studies have none.
        mask: A NIfTI file of its vertebrae, or ``None``.
        truth: The folder of what a phantom or a graft was made of, or ``None`` for a patient.
        patient: Who it shows, where several studies show one; ``None`` where the study is the patient.
    """

    study_uid: str
    images: Path
    fractured: tuple[bool, ...] | None
    boxes: tuple[SliceBox, ...] = ()
    mask: Path | None = None
    truth: Path | None = None
    patient: str | None = None

    @property
    def group(self) -> str:
        """Returns what folds keep together: the patient."""
        return self.study_uid if self.patient is None else self.patient

    @property
    def any_fractured(self) -> bool | None:
        """Returns ``patient_overall``, or ``None`` where nothing is known."""
        return None if self.fractured is None else any(self.fractured)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a data set.

    Attributes:
        code: A stable short name, for instance ``missing_images``.
        text: One sentence: what is needed, what came, and what follows.
        study_uid: The study that it concerns, or ``None``.
    """

    code: str
    text: str
    study_uid: str | None = None
