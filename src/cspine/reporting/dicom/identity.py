"""Identifies what made an object, of what, and when: the same input gives the same identifiers, so it is stored once."""

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from pydicom.dataset import Dataset
from pydicom.uid import UID

import cspine
from cspine.anatomy import Level
from cspine.results import StudyResult
from cspine.study import Study

MAKER = "cspine"
_OFFSET = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cspine:dicom-objects")


@dataclass(frozen=True, slots=True)
class ObjectIdentity:
    """Derives the UIDs of a result.

    Attributes:
        seed: All that an object depends on: images, both packages with their digests, operating point, version of cspine.
    """

    seed: str

    @classmethod
    def of(cls, result: StudyResult, study: Study) -> "ObjectIdentity":
        """Returns the identity of a result about a scan."""
        images = hashlib.sha256()
        for source in study.sources:
            images.update(f"{source.sop_instance_uid}/{source.frame_number}\n".encode())
        packages = (part for one in (result.model, result.localiser) for part in (one.name, one.version, one.sha256))
        parts = (cspine.__version__, *packages, result.operating_point, result.status.value)
        return cls("\n".join((study.series_uid or "", images.hexdigest(), *parts)))

    def uid(self, *what: str) -> UID:
        """Returns a UID for something of this result; UUID-derived as in PS3.5, B.2."""
        return derived_uid(self.seed, *what)

    def tracking_uid(self, level: Level) -> UID:
        """Returns what the segment of a vertebra and what is said about it share."""
        return self.uid("tracking", level.name)


def derived_uid(*parts: str) -> UID:
    """Returns the UID that always follows from these texts."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}")


def equipment(result: StudyResult) -> dict[str, str | list[str]]:
    """Returns what highdicom asks about the maker of an object."""
    model = result.model
    packages = [ascii_text(f"{one.name} {one.version}")[:64] for one in (model, result.localiser)]
    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": MAKER,
        "software_versions": [f"cspine {cspine.__version__}", *packages],
        "device_serial_number": model.sha256,
    }


def moment_of(result: StudyResult, header: Dataset) -> datetime:
    """Returns when the scan was assessed, in the time zone of the scan where its header says one, else in that of this machine."""
    moment = datetime.fromisoformat(result.created) if result.created else datetime.now(UTC)
    offset = _OFFSET.fullmatch(str(header.get("TimezoneOffsetFromUTC") or "").strip())
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return moment.astimezone(timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes)))
    return moment.astimezone()


def ascii_text(text: str) -> str:
    """Returns the text that every character set can hold."""
    return text.encode("ascii", "replace").decode("ascii")
