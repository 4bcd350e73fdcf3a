"""Names the states of jobs and of objects on their way, and what goes in and out of the store."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Says how far a job is; a job is one version of a series."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"


OPEN = (State.QUEUED, State.RUNNING)
"""States of work that is still to be done."""

WITH_RESULT = (State.DONE, State.REJECTED)
"""States of which there is a folder with a result."""


class DeliveryState(StrEnum):
    """Says how far an object on its way to an archive is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """Says what a user may do."""

    READER = "reader"
    ADMIN = "admin"
    API = "api"


@dataclass(frozen=True, slots=True)
class Patient:
    """Holds what is known of a patient and the request; it stands in one table, which retention erases."""

    patient_name: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)
    accession: str = field(default="", repr=False)
    study_date: str = field(default="", repr=False)
    study_description: str = field(default="", repr=False)
    series_description: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Describes a series that came in.

    Attributes:
        series_uid: DICOM Series Instance UID.
        study_uid: DICOM Study Instance UID.
        source: Who sent it: an AE title, or the name of a folder or user.
        site: What people call the place.
        scanner: Manufacturer and model.
        kernel: Reconstruction kernel.
        patient: What is known of the patient.
        minutes: What a rule adds to the time that it counts as having waited.
        ignored: Why a rule has it ignored; ``None`` where it is assessed.
    """

    series_uid: str
    study_uid: str
    source: str
    site: str = ""
    scanner: str = ""
    kernel: str = ""
    patient: Patient = field(default_factory=Patient, repr=False)
    minutes: float = 0.0
    ignored: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Holds the images of a series as one version has them.

    Attributes:
        key: Name of the folders of the version; it tells nothing about the patient.
        digest: Digest of the SOP Instance UIDs.
        images: How many they are.
    """

    key: str
    digest: str
    images: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Holds a job that a worker has taken.

    Attributes:
        job_id: Which.
        key: Name of its folders.
        owner: The worker.
        attempt: How often it was taken before and lost, plus 1.
        due_at: Its result is not recorded before.
    """

    job_id: int
    key: str
    owner: str
    attempt: int
    due_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """Holds what came of a job.

    Attributes:
        state: Done, rejected or failed.
        probability: Of any fracture, calibrated; ``None`` where it was not assessed.
        low: The lowest over the passes of test-time augmentation.
        high: The highest.
        threshold: The lowest probability that is positive.
        positive: Whether it is.
        levels: C1..C7 as ``result.json`` has them, shortened.
        code: Why it was rejected or failed, as a stable short name.
        reason: The same in one line for people.
        warnings: Codes of what to mind.
        package: Name of the model package.
        package_version: Its version.
        timings: Seconds by stage.
    """

    state: State
    probability: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    positive: bool | None = None
    levels: tuple[dict[str, Any], ...] = ()
    code: str | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    package: str = ""
    package_version: str = ""
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Describes an object that shall go to an archive.

    Attributes:
        destination: Name of the archive.
        kind: ``sr``, ``seg`` or ``sc``.
        sop_uid: Its SOP Instance UID.
        sop_class: Its SOP Class UID.
        file: Its name in the folder of the result.
    """

    destination: str
    kind: str
    sop_uid: str
    sop_class: str
    file: str


@dataclass(frozen=True, slots=True)
class Predecessor:
    """Names the object of an earlier version that an archive has already.

    Attributes:
        sop_uid: Its SOP Instance UID.
        key: Name of the folder of its result.
        file: Its name in there.
    """

    sop_uid: str
    key: str
    file: str


@dataclass(frozen=True, slots=True)
class Sending:
    """Holds an object that a deliverer has taken.

    Attributes:
        parcel_id: Which.
        key: Name of the folder of the result.
        parcel: The object.
        attempt: How often it was tried, plus 1.
        replaces: The same of an earlier version that this archive has, if any.
    """

    parcel_id: int
    key: str
    parcel: Parcel
    attempt: int
    replaces: Predecessor | None
