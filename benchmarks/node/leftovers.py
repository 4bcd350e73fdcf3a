"""Says what is wrong with what a node and an archive have in the end."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import dcmread
from sqlalchemy import select, text

from cspine.errors import InputError
from cspine.node.config import Config
from cspine.node.receiving.spool import INCOMING
from cspine.node.store import DeliveryState, State, Store
from cspine.node.store.tables import jobs, outbox, series
from cspine.node.working.outcome import FILES
from cspine.reporting.json_result import read_result
from tests.node.nodes import CANARY, Series, Shelf

_UNREADABLE = (OSError, EOFError, ValueError, AttributeError, KeyError, TypeError, InputError, InvalidDicomError)
_ADDED = "PredecessorDocumentsSequence"
"""What a report gets on its way to an archive."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """Holds what was found.

    Attributes:
        faults: A sentence for each thing that is wrong.
        versions: How many versions were queued.
        sent_again: Objects that the archive was sent more than once, which it keeps once.
    """

    faults: tuple[str, ...]
    versions: int
    sent_again: int


def inspect_all(store: Store, config: Config, studies: Sequence[Series], archive: Shelf) -> Inspection:
    """Compares what a node and an archive have with the studies that were sent."""
    with store.reading() as connection:
        versions = connection.execute(select(jobs, series.c.series_uid).join(series)).all()
        parcels = connection.execute(select(outbox)).all()
    sent_again = sum(number - 1 for number in Counter(archive.uids()).values())
    found = [
        *_unsound(store),
        *_results(studies, versions),
        *_deliveries(studies, versions, parcels, archive),
        *_orphans(config.node.data, versions),
        *_spooled(config.node.data, studies),
        *_halves(config.node.data, studies, versions, parcels),
        *_altered(config.node.data, versions, parcels, archive),
    ]
    return Inspection(tuple(found), len(versions), sent_again)


def tells_of_patients(log: Path) -> bool:
    """Says whether a log holds the name of the patient of all studies, or a part of it."""
    text_of_log = log.read_text(encoding="utf-8", errors="replace")
    return any(word in text_of_log for word in CANARY.split("^"))


def _unsound(store: Store) -> Iterator[str]:
    """Yields what SQLite says of its own file; PostgreSQL is not what is killed."""
    with store.reading() as connection:
        if connection.dialect.name == "sqlite":
            message = connection.execute(text("PRAGMA integrity_check")).scalar_one()
            if message != "ok":
                yield f"the database is damaged: {message}"


def _results(studies: Sequence[Series], versions: Sequence[Any]) -> Iterator[str]:
    done = [row for row in versions if row.state == State.DONE]
    if Counter(row.series_uid for row in done) != Counter(one.uid for one in studies):
        yield f"not one current result for each series: {Counter(row.state for row in versions)}"
    newest = {row.series_uid: row for row in sorted(versions, key=lambda row: row.version)}
    current = {row.series_uid: row for row in done}
    for study in studies:
        row = current.get(study.uid)
        if row is None:
            continue
        if row.images != len(study.files):
            yield f"the result of {study.uid} is of {row.images} images instead of {len(study.files)}"
        if row.version != newest[study.uid].version:
            yield f"the result of {study.uid} is of version {row.version}, and {newest[study.uid].version} came"
        if row.positive is not study.fractured:
            yield f"the result of {study.uid} says positive: {row.positive} instead of {study.fractured}"


def _deliveries(studies: Sequence[Series], versions: Sequence[Any], parcels: Sequence[Any], archive: Shelf) -> Iterator[str]:
    current, kept = {row.series_uid: row for row in versions if row.state == State.DONE}, set(archive.uids())
    for study in studies:
        row = current.get(study.uid)
        sent = [one for one in parcels if row is not None and one.job_id == row.id]
        if sorted(one.kind for one in sent) != ["sc", "seg", "sr"] or {one.state for one in sent} != {DeliveryState.DELIVERED}:
            yield f"the outbox of {study.uid} holds {[(one.kind, one.state) for one in sent]}"
        if not {one.sop_uid for one in sent} <= kept:
            yield f"the archive lacks objects of {study.uid}"
    twice = [key for key, number in Counter((one.job_id, one.kind) for one in parcels).items() if number > 1]
    if twice:
        yield f"the outbox has objects of one kind under several UIDs: {twice}"
    strangers = kept - {one.sop_uid for one in parcels}
    if strangers:
        yield f"the archive has {len(strangers)} objects that nobody sent"


def _orphans(data: Path, versions: Sequence[Any]) -> Iterator[str]:
    predicted = {row.key for row in versions if row.package}  # one or two images of a study that comes in parts have no result
    wanted = {"scans": {row.key for row in versions}, "results": predicted}
    for name, keys in wanted.items():
        found = {path.name for path in (data / name).iterdir()}
        if found != keys:
            lost = [(row.key, row.state, row.code, row.attempts) for row in versions if row.key in keys - found]
            yield f"{name} has {sorted(found - keys)} too much and lacks {lost}"
    left = [
        path for path in data.rglob("*") if ".unfinished" in path.name or path.parent.name == INCOMING or path.suffix == ".part"
    ]
    if left:
        yield f"half-written files are left: {[str(path.relative_to(data)) for path in left]}"


def _spooled(data: Path, studies: Sequence[Series]) -> Iterator[str]:
    """Yields what the spool lacks of the images that were sent, or holds beside them."""
    wanted = {study.uid: {f"{image.SOPInstanceUID}.dcm" for image in study.images()} | {".source.json"} for study in studies}
    found = {
        folder.name: {file.name for file in folder.iterdir()} for folder in (data / "spool").iterdir() if folder.name != INCOMING
    }
    if found != wanted:
        yield f"the spool differs for {sorted(uid for uid in found.keys() | wanted.keys() if found.get(uid) != wanted.get(uid))}"
        return
    for study in studies:
        for image in study.images():
            kept = _read(data / "spool" / study.uid / f"{image.SOPInstanceUID}.dcm")
            if kept != image:
                yield f"the image {image.SOPInstanceUID} is not the one that was sent"


def _halves(data: Path, studies: Sequence[Series], versions: Sequence[Any], parcels: Sequence[Any]) -> Iterator[str]:
    """Yields current results that are not there with all of their files, each whole, of the right series and as they were sent."""
    fractured = {study.uid: study.fractured for study in studies}
    for row in (row for row in versions if row.state == State.DONE):
        folder = data / "results" / row.key
        try:
            result = read_result(folder / "result.json")
            json.loads((folder / "result_fhir.json").read_text(encoding="utf-8"))
            whole = (folder / "result.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
            uids = {str(kind): str(dcmread(folder / name).SOPInstanceUID) for kind, name in FILES.items()}
        except _UNREADABLE as error:
            yield f"the result {row.key} cannot be read: {error}"
            continue
        if not whole or uids != {str(one.kind): one.sop_uid for one in parcels if one.job_id == row.id}:
            yield f"the result {row.key} is not the one that was sent"
        stated = result["study"]["series_uid"], result["patient_overall"]["positive"]
        if stated != (row.series_uid, fractured.get(row.series_uid)):
            yield f"the result {row.key} of {row.series_uid} is one of another series: {stated}"


def _altered(data: Path, versions: Sequence[Any], parcels: Sequence[Any], archive: Shelf) -> Iterator[str]:
    """Yields objects of the archive that are not as the node has them, each time that they came."""
    keys: Mapping[int, str] = {row.id: row.key for row in versions if row.package}
    files = {one.sop_uid: data / "results" / keys[one.job_id] / one.file for one in parcels if one.job_id in keys}
    for came in archive.kept:
        made = _read(files[str(came.SOPInstanceUID)]) if str(came.SOPInstanceUID) in files else None
        if made is not None and _without_predecessor(came) != _without_predecessor(made):
            yield f"the archive has {came.SOPInstanceUID} otherwise than the node"


def _read(file: Path) -> Dataset | None:
    """Returns an object; ``None`` where it cannot be read."""
    try:
        return dcmread(file)
    except _UNREADABLE:
        return None


def _without_predecessor(made: Dataset) -> Dataset:
    if _ADDED not in made:
        return made
    rest = Dataset({element.tag: element for element in made})
    del rest[_ADDED]
    return rest
