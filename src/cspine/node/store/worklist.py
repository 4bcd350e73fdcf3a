"""Lists the series that people work from: the newest version of each, its result, and how far that has gone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from cspine.node.store.database import Store
from cspine.node.store.nouns import WITH_RESULT, DeliveryState, Patient, State
from cspine.node.store.tables import jobs, outbox, patients, series, verdicts

_PATIENT = tuple(Patient.__dataclass_fields__)
_MOST = 2000


class Order(StrEnum):
    """Names the orders of the worklist."""

    RANK = "rank"
    RECEIVED = "received"
    PROBABILITY = "probability"


@dataclass(frozen=True, slots=True)
class Filter:
    """Says which rows are wanted, and in what order.

    Attributes:
        states: Of which states; all but superseded ones if empty.
        site: Of which site; all if ``None``.
        text: Part of the name, identifier or accession number of the patient.
        acknowledged: Only those that readers have given a verdict on, or have not; both if ``None``.
        order: By what.
        most: How many.
        skip: How many of the first are left out.
    """

    states: tuple[State, ...] = ()
    site: str | None = None
    text: str = field(default="", repr=False)
    acknowledged: bool | None = None
    order: Order = Order.RANK
    most: int = 200
    skip: int = 0


@dataclass(frozen=True, slots=True)
class ListedResult:
    """Holds the newest finished result of a series.

    Attributes:
        key: Name of its folder.
        version: Which version of the series.
        state: Done or rejected.
        probability: Of any fracture; ``None`` where it was not assessed.
        low: The lowest over the passes of test-time augmentation.
        high: The highest.
        threshold: From here on it is positive.
        positive: Whether it is.
        levels: C1..C7, each with ``level``, ``status``, ``probability``, ``low``, ``high`` and ``positive``.
        warnings: Codes of what to mind.
        package: Name of the model package.
        package_version: Its version.
        finished_at: When.
        erased: Whether retention has removed its folder.
    """

    key: str
    version: int
    state: State
    probability: float | None
    low: float | None
    high: float | None
    threshold: float | None
    positive: bool | None
    levels: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    package: str
    package_version: str
    finished_at: float
    erased: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """Holds one row of the worklist.

    Attributes:
        key: Name of the newest version, which identifies it towards people and programs.
        version: Its number.
        state: How far it is.
        code: Why it was rejected, failed or ignored, as a stable short name.
        reason: The same in one line for people.
        attempts: How often a worker was lost over it.
        images: How many it has.
        series_uid: DICOM Series Instance UID.
        study_uid: DICOM Study Instance UID.
        source: Who sent it.
        site: What people call the place.
        scanner: Manufacturer and model.
        kernel: Reconstruction kernel.
        received_at: When the first image was queued.
        credit_minutes: What stands beside the time that it has waited.
        rank_at: By what it is ordered: ``received_at`` less the credit.
        changed_at: When it changed last.
        patient: Who it is; empty where retention has erased it.
        result: The newest finished result, of this version or an earlier one; ``None`` where there is none.
        deliveries: Objects of that result by destination and state.
        refusals: Why objects of it still wait, by destination, in one line for people.
        readers: Who gave a verdict on that result.
    """

    key: str
    version: int
    state: State
    code: str | None
    reason: str | None
    attempts: int
    images: int
    series_uid: str
    study_uid: str
    source: str
    site: str
    scanner: str
    kernel: str
    received_at: float
    credit_minutes: float
    rank_at: float
    changed_at: float
    patient: Patient = field(repr=False)
    result: ListedResult | None
    deliveries: dict[str, dict[DeliveryState, int]]
    refusals: dict[str, str]
    readers: tuple[str, ...]


_OF_JOB = ("key", "version", "state", "code", "reason", "attempts", "images", "credit_minutes", "rank_at", "changed_at")
_OF_SERIES = ("series_uid", "study_uid", "source", "site", "scanner", "kernel")
_PLAIN = (*_OF_JOB, *_OF_SERIES, "received_at")


def worklist(store: Store, wanted: Filter | None = None) -> tuple[Listed, ...]:
    """Returns the rows of the worklist."""
    query = _filtered(_newest(), wanted or Filter())
    with store.reading() as connection:
        return _rows(connection, connection.execute(query).all())


def listed(store: Store, key: str) -> Listed | None:
    """Returns one version as a row; ``None`` where there is none."""
    with store.reading() as connection:
        found = connection.execute(_joined().where(jobs.c.key == key)).all()
        rows = _rows(connection, found)
    return rows[0] if rows else None


def listed_by_number(store: Store, number: int) -> Listed | None:
    """Returns the version that a job is, by the number of the job; ``None`` where there is none."""
    with store.reading() as connection:
        rows = _rows(connection, connection.execute(_joined().where(jobs.c.id == number)).all())
    return rows[0] if rows else None


def last_change(store: Store) -> float:
    """Returns when anything of the worklist changed last; a page that was made after it is still true."""
    with store.reading() as connection:
        moments = [connection.execute(select(func.max(table.c.changed_at))).scalar() for table in (jobs, outbox)]
    return max((moment for moment in moments if moment is not None), default=0.0)


def _joined() -> Select[Any]:
    columns = tuple(series.c[name] for name in _OF_SERIES)
    person = tuple(patients.c[name] for name in _PATIENT)
    ours = tuple(jobs.c[name] for name in _OF_JOB)
    found = select(jobs.c.series_id, *ours, *columns, series.c.received_at, *person).join(series, series.c.id == jobs.c.series_id)
    return found.outerjoin(patients, patients.c.series_id == series.c.id)


def _newest() -> Select[Any]:
    """Returns the newest version of every series, an ignored one only where there is no other."""
    counted = func.row_number().over(
        partition_by=jobs.c.series_id, order_by=[(jobs.c.state == State.IGNORED).asc(), jobs.c.version.desc()]
    )
    numbered = select(jobs.c.id, counted.label("place")).subquery()
    return _joined().join(numbered, numbered.c.id == jobs.c.id).where(numbered.c.place == 1)


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.states:
        query = query.where(jobs.c.state.in_(wanted.states))
    if wanted.site is not None:
        query = query.where(series.c.site == wanted.site)
    if wanted.text:
        columns = (patients.c.patient_name, patients.c.patient_id, patients.c.accession)
        query = query.where(or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    if wanted.acknowledged is not None:
        said = select(verdicts.c.id).where(verdicts.c.job_id == jobs.c.id).exists()
        query = query.where(said if wanted.acknowledged else ~said)
    orders: dict[Order, tuple[Any, ...]] = {
        Order.RANK: (jobs.c.rank_at,),
        Order.RECEIVED: (series.c.received_at.desc(),),
        Order.PROBABILITY: (jobs.c.probability.is_(None), jobs.c.probability.desc()),
    }
    return query.order_by(*orders[wanted.order], jobs.c.id).limit(min(wanted.most, _MOST)).offset(wanted.skip)


def _rows(connection: Connection, found: Sequence[Row[Any]]) -> tuple[Listed, ...]:
    results = _results(connection, [row.series_id for row in found])
    numbers = [result.id for result in results.values()]
    deliveries, readers = _deliveries(connection, numbers), _readers(connection, numbers)
    refusals = _refusals(connection, numbers)
    rows = []
    for row in found:
        result = results.get(row.series_id)
        number = None if result is None else result.id
        known = row._mapping
        plain = {name: known[name] for name in _PLAIN}
        rows.append(
            Listed(
                **plain | {"state": State(row.state)},
                patient=Patient(**{name: known[name] or "" for name in _PATIENT}),
                result=None if result is None else _result(result),
                deliveries=deliveries.get(number, {}),
                refusals=refusals.get(number, {}),
                readers=readers.get(number, ()),
            )
        )
    return tuple(rows)


def _results(connection: Connection, series_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Returns the newest finished version of each series; those that newer ones superseded are no results any more."""
    columns = (jobs.c.id, jobs.c.series_id, *(jobs.c[name] for name in ListedResult.__dataclass_fields__))
    finished = select(*columns).where(jobs.c.series_id.in_(series_ids), jobs.c.state.in_(WITH_RESULT)).order_by(jobs.c.version)
    return {row.series_id: row for row in connection.execute(finished)}


def _result(row: Row[Any]) -> ListedResult:
    names = [name for name in ListedResult.__dataclass_fields__ if name not in ("state", "levels", "warnings")]
    known = row._mapping
    plain = {name: known[name] for name in names}
    return ListedResult(**plain, state=State(row.state), levels=tuple(row.levels), warnings=tuple(row.warnings))


def _deliveries(connection: Connection, job_ids: Sequence[int]) -> dict[int | None, dict[str, dict[DeliveryState, int]]]:
    key = (outbox.c.job_id, outbox.c.destination, outbox.c.state)
    found: dict[int | None, dict[str, dict[DeliveryState, int]]] = {}
    for job_id, destination, state, number in connection.execute(
        select(*key, func.count()).where(outbox.c.job_id.in_(job_ids)).group_by(*key)
    ):
        found.setdefault(job_id, {}).setdefault(destination, {})[DeliveryState(state)] = number
    return found


def _refusals(connection: Connection, job_ids: Sequence[int]) -> dict[int | None, dict[str, str]]:
    """Returns the newest answer of each archive that has not taken all; answers to objects that it took meanwhile do not count."""
    wanted = and_(outbox.c.job_id.in_(job_ids), outbox.c.state == DeliveryState.WAITING, outbox.c.error.is_not(None))
    key = (outbox.c.job_id, outbox.c.destination, outbox.c.error)
    found: dict[int | None, dict[str, str]] = {}
    for job_id, destination, error in connection.execute(select(*key).where(wanted).order_by(outbox.c.changed_at)):
        found.setdefault(job_id, {})[destination] = error
    return found


def _readers(connection: Connection, job_ids: Sequence[int]) -> dict[int | None, tuple[str, ...]]:
    found: dict[int | None, tuple[str, ...]] = {}
    key = (verdicts.c.job_id, verdicts.c.reader)
    for job_id, reader in connection.execute(select(*key).where(verdicts.c.job_id.in_(job_ids)).distinct().order_by(*key)):
        found[job_id] = (*found.get(job_id, ()), reader)
    return found
