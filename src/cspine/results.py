"""Holds what cspine says about a study: no arrays, no file formats."""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from cspine.anatomy import Level
from cspine.coordinates import Vector
from cspine.storage.codec import ShapeError, decode
from cspine.storage.strict_json import parse_json

DISCLAIMER = "Research software, not a medical device. Not for diagnosis."

TRAINED_ON_PHANTOMS = "trained_on_phantoms"
"""Code of the reason that says that the model was trained on phantoms; it stands with the disclaimer."""

TRAINED_ON_GRAFTS = "trained_on_grafts"
"""The same where there was real bone too, but no real fracture."""

CAUTIONS = frozenset({TRAINED_ON_PHANTOMS, TRAINED_ON_GRAFTS})
"""Codes of what stands with the disclaimer, and so in no list of reasons."""

SCHEMA_VERSION = "1.2"
"""Version of ``result.json``; see ``reporting/result.schema.json``."""


class LevelStatus(StrEnum):
    """Describes how much of a vertebra could be assessed."""

    ASSESSED = "assessed"
    PARTLY_IN_VIEW = "partly_in_view"
    NOT_IN_VIEW = "not_in_view"
    UNCERTAIN = "uncertain"


class StudyStatus(StrEnum):
    """Says whether a study was assessed at all."""

    OK = "ok"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Reason:
    """Says why a study was rejected, or what to mind when reading its result.

    Attributes:
        code: A stable short name, for instance ``no_cervical_spine``.
        text: One sentence for people.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class KeySlice:
    """The stored image to open first.

    Attributes:
        index: Counted from 0 along the stack.
        sop_uid: The DICOM object, or ``None``.
    """

    index: int
    sop_uid: str | None


@dataclass(frozen=True, slots=True)
class Box:
    """A box along the patient's axes, LPS millimetres ``(x, y, z)``."""

    low_mm: Vector
    high_mm: Vector

    def to_dict(self) -> dict[str, list[float]]:
        """Returns the corners as plain JSON data, to the hundredth of a millimetre."""
        return {"low": _rounded(self.low_mm, 2), "high": _rounded(self.high_mm, 2)}


@dataclass(frozen=True, slots=True)
class Assessment:
    """A probability and what follows from it.

    Attributes:
        probability: Calibrated, 0..1.
        threshold: The lowest probability that counts as positive, at the operating point of the result.
        low: The lowest probability over the passes of test-time augmentation; ``None`` where there is but one.
        high: The highest.
    """

    probability: float
    threshold: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.probability <= 1 and 0 <= self.threshold <= 1):
            raise ValueError(f"A probability and its threshold must lie in 0..1. Received: {self}")
        low, high = self.probability if self.low is None else self.low, self.probability if self.high is None else self.high
        if not 0 <= low <= self.probability <= high <= 1:
            raise ValueError(f"A probability lies between those of its passes. Received: {self}")

    @property
    def positive(self) -> bool:
        """Says whether the threshold is reached."""
        return self.probability >= self.threshold

    @property
    def sure(self) -> bool:
        """Says whether all passes of test-time augmentation agree on that."""
        return self.low is None or self.high is None or self.low >= self.threshold or self.high < self.threshold

    def to_dict(self) -> dict[str, Any]:
        """Returns the assessment as plain JSON data; ``range`` is ``None`` where there was one pass only."""
        spread = None if self.low is None or self.high is None else {"low": self.low, "high": self.high}
        return {"probability": self.probability, "range": spread, "positive": self.positive, "threshold": self.threshold}


_NOT_ASSESSED: dict[str, Any] = {"probability": None, "range": None, "positive": None, "threshold": None}


@dataclass(frozen=True, slots=True)
class LevelFinding:
    """Holds what is said about one vertebra.

    Attributes:
        level: Which one.
        status: How much of it could be assessed.
        assessment: Present if and only if it was assessed, at least in part.
        centre_mm: Where it is, LPS ``(x, y, z)``; ``None`` where that is not known.
        key_slice: The stored image to look at first.
        box_mm: The region to look at first.
        confidence: How sure it is that this is that vertebra, 0..1; ``None`` where nothing of it was found.
    """

    level: Level
    status: LevelStatus
    assessment: Assessment | None = None
    centre_mm: Vector | None = None
    key_slice: KeySlice | None = None
    box_mm: Box | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        assessed = self.status in (LevelStatus.ASSESSED, LevelStatus.PARTLY_IN_VIEW)
        if (self.assessment is not None) != assessed:
            raise ValueError(f"A level has a probability if and only if it was assessed. Received: {self}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the finding as plain JSON data."""
        return {
            "level": self.level.name,
            "status": self.status.value,
            **(_NOT_ASSESSED if self.assessment is None else self.assessment.to_dict()),
            "centre_mm": None if self.centre_mm is None else _rounded(self.centre_mm, 2),
            "key_slice": None if self.key_slice is None else asdict(self.key_slice),
            "box_mm": None if self.box_mm is None else self.box_mm.to_dict(),
            "confidence": self.confidence,
        }


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """The scan that a result is about.

    Attributes:
        name: What the user calls it; never a patient's name.
        study_uid: DICOM Study Instance UID, or ``None``.
        series_uid: DICOM Series Instance UID, or ``None``.
        slices: Number of slices along the stack.
        spacing_mm: Voxel distances, ``(z, y, x)`` of the stored array.
        orientation: ``axial``, ``sagittal``, ``coronal`` or ``oblique``.
        warnings: What reading noticed.
    """

    name: str
    study_uid: str | None
    series_uid: str | None
    slices: int
    spacing_mm: Vector
    orientation: str
    warnings: tuple[Reason, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the facts as plain JSON data."""
        return {
            "name": self.name,
            "study_uid": self.study_uid,
            "series_uid": self.series_uid,
            "slices": self.slices,
            "spacing_mm": _rounded(self.spacing_mm, 6),
            "orientation": self.orientation,
            "warnings": [asdict(warning) for warning in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number with its interval.

    Attributes:
        name: What was measured, on what, for instance ``AUROC of any fracture, 200 unseen synthetic necks``.
        value: The number.
        low: Lower end of its 95 % interval; ``None`` where there were too few patients for one.
        high: Upper end, or ``None`` as above.
    """

    name: str
    value: float
    low: float | None
    high: float | None

    @property
    def interval(self) -> str:
        """Returns the interval as people read it."""
        return "too few for an interval" if self.low is None or self.high is None else f"{self.low:.3f} to {self.high:.3f}"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The package that classified.

    Attributes:
        name: Name of the package.
        version: Its version.
        sha256: Digest of its manifest, which holds the digests of its files.
        trained_on: What it has seen, in words that belong beside every result.
        figures: What was measured on patients that it never saw.
    """

    name: str
    version: str
    sha256: str
    trained_on: str
    figures: tuple[Figure, ...] = ()

    def to_dict(self) -> dict[str, str]:
        """Returns what identifies the package as plain JSON data."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256, "trained_on": self.trained_on}


@dataclass(frozen=True, slots=True)
class StudyResult:
    """The result for one study.

    Attributes:
        status: Whether it was assessed.
        reasons: Why not, or what to mind.
        study: The scan.
        model: The package that classified.
        localiser: The package that found the vertebrae.
        operating_point: Which thresholds were used, for instance ``balanced``.
        overall: Any of the assessed levels is fractured; ``None`` where the study was rejected.
        levels: C1..C7, in this order.
        timings_s: Seconds by stage.
        created: Moment of writing, ISO 8601 in UTC.
    """

    status: StudyStatus
    reasons: tuple[Reason, ...]
    study: StudyFacts
    model: ModelFacts
    localiser: ModelFacts
    operating_point: str
    overall: Assessment | None
    levels: tuple[LevelFinding, ...]
    timings_s: dict[str, float] = field(default_factory=dict)
    created: str = ""

    def __post_init__(self) -> None:
        if (self.overall is None) != (self.status is StudyStatus.REJECTED):
            raise ValueError("A study has an overall probability if and only if it was not rejected.")

    @property
    def caution(self) -> str:
        """Says that the model has never seen a real fracture; empty where it was trained on patients with fractures."""
        return " ".join(reason.text for reason in self.reasons if reason.code in CAUTIONS)

    @property
    def disclaimer(self) -> str:
        """Says what must stand on every result: that it is for research, and what the model was trained on."""
        return f"{DISCLAIMER} {self.caution}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of ``result.json`` as plain JSON data; ``reporting/result.schema.json`` describes it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status.value,
            "reasons": [asdict(reason) for reason in self.reasons],
            "study": self.study.to_dict(),
            "model": self.model.to_dict(),
            "localiser": self.localiser.to_dict(),
            "patient_overall": dict(_NOT_ASSESSED) if self.overall is None else self.overall.to_dict(),
            "levels": [finding.to_dict() for finding in self.levels],
            "operating_point": self.operating_point,
            "timings_s": dict(self.timings_s),
            "disclaimer": self.disclaimer,
            "created": self.created,
        }

    def to_json(self) -> str:
        """Returns the text of ``result.json``."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Returns the result that :meth:`to_dict` gave, with the digits that are kept there and without the figures of packages.

        Raises:
            ValueError: The data are not those of a result, or contradict themselves; the message says where.
        """
        if not isinstance(data, dict):
            raise ShapeError(f"A result is a JSON object, as in result.json. Received: {data!r:.80}")
        try:
            result = decode(cls, _shaped(data), "result")
        except (KeyError, TypeError, AttributeError) as error:
            raise ShapeError(f"A result has the keys and values of result.json. Received: {error!s:.80}") from error
        known = result.to_dict()
        wrong = [key for key in known if key != "disclaimer" and data.get(key) != known[key]]  # its wording may change
        if wrong or set(data) != set(known):
            where = (wrong or sorted(set(data) ^ set(known)))[0]
            raise ShapeError(f"A result must be as cspine wrote it, with schema {SCHEMA_VERSION}. It differs at {where!r:.80}.")
        return result

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Returns the result whose ``result.json`` has this text; otherwise as :meth:`from_dict`."""
        return cls.from_dict(parse_json(text))


def _shaped(data: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of ``result.json`` as the nouns of this module are shaped."""
    return {
        **{name: data[name] for name in ("status", "reasons", "study", "operating_point", "timings_s", "created")},
        **{name: {**data[name], "figures": []} for name in ("model", "localiser")},
        "overall": _shaped_assessment(data["patient_overall"]),
        "levels": [_shaped_finding(level) for level in data["levels"]],
    }


def _shaped_assessment(data: dict[str, Any]) -> dict[str, Any] | None:
    if data["probability"] is None:
        return None
    spread = data["range"] or {"low": None, "high": None}
    return {name: data[name] for name in ("probability", "threshold")} | {name: spread[name] for name in ("low", "high")}


def _shaped_finding(data: dict[str, Any]) -> dict[str, Any]:
    box = data["box_mm"]
    return {
        **{name: data[name] for name in ("status", "centre_mm", "key_slice", "confidence")},
        "level": Level[data["level"]].value,
        "assessment": _shaped_assessment(data),
        "box_mm": None if box is None else {"low_mm": box["low"], "high_mm": box["high"]},
    }


def _rounded(numbers: Vector, digits: int) -> list[float]:
    return [round(number, digits) for number in numbers]
