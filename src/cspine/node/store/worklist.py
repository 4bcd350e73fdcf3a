"""Lists the series that people work from: the newest version of each, its result, and how far that has gone."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Row, Select, Text, and_, bindparam, cast, func, or_, select, union

from cspine.node.store.database import Store, is_postgresql
from cspine.node.store.nouns import WITH_RESULT, DeliveryState, Patient, State
from cspine.node.store.tables import jobs, outbox, patients, series, verdicts

_PATIENT = tuple(Patient.__dataclass_fields__)
_MOST, _DAY_S = 2000, 86400.0
_SINCE, _NUMBERS = "since", "numbers"
"""Names of what a statement is given when it is run: a moment, numbers of series or jobs."""


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
        days: Only those that came within so many days; all if ``None``.
        order: By what; by rank, those that nobody has read come first.
        most: How many.
        skip: How many of the first are left out.
    """

    states: tuple[State, ...] = ()
    site: str | None = None
    text: str = field(default="", repr=False)
    acknowledged: bool | None = None
    days: float | None = None
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
        threshold: The lowest probability that is positive.
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
_OF_SERIES = ("series_uid", "study_uid", "source", "site", "scanner", "kernel", "received_at")
_PLAIN = (*_OF_JOB, *_OF_SERIES)
_OF_RESULT = tuple(ListedResult.__dataclass_fields__)
_JSON = ("levels", "warnings")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """Holds what the database says of a row, as it came: equal exactly where the row is, and quickly compared.

    Attributes:
        series_id: Number of its series.
        place: By what rows are ordered, the smallest first.
        newest: Columns of the newest version, its series and its patient.
        result: Columns of the newest finished version, lists as JSON; empty where there is none.
        deliveries: Destination, state and number of objects of that result.
        refusals: Destination and answer.
        readers: Who gave a verdict on that result.
    """

    series_id: int
    place: tuple[Any, ...]
    newest: tuple[Any, ...] = field(repr=False)
    result: tuple[Any, ...] = ()
    deliveries: tuple[tuple[str, str, int], ...] = ()
    refusals: tuple[tuple[str, str], ...] = ()
    readers: tuple[str, ...] = ()

    def row(self) -> Listed:
        """Returns the row."""
        plain = dict(zip(_PLAIN, self.newest, strict=False))
        person = self.newest[len(_PLAIN) :]
        deliveries: dict[str, dict[DeliveryState, int]] = {}
        for destination, state, number in self.deliveries:
            deliveries.setdefault(destination, {})[DeliveryState(state)] = number
        return Listed(
            **plain | {"state": State(plain["state"])},
            patient=Patient(*(value or "" for value in person)),
            result=_result(self.result) if self.result else None,
            deliveries=deliveries,
            refusals=dict(self.refusals),
            readers=self.readers,
        )


def worklist(store: Store, wanted: Filter | None = None) -> tuple[Listed, ...]:
    """Returns the rows of the worklist."""
    return tuple(stored.row() for stored in stored_rows(store, wanted))


def stored_rows(store: Store, wanted: Filter | None = None, among: Collection[int] | None = None) -> tuple[StoredRow, ...]:
    """Returns the rows of the worklist as the database has them.

    Args:
        store: The store.
        wanted: Which, and in what order.
        among: Only those of these series, by number; of all if ``None``.
    """
    wanted = wanted or Filter()
    given: dict[str, Any] = {} if wanted.days is None else {_SINCE: store.clock() - wanted.days * _DAY_S}
    if among is not None:
        given[_NUMBERS] = list(among)
    with store.reading() as connection:
        return _rows(connection, connection.execute(_chosen(wanted, among is not None), given).all())


def listed(store: Store, key: str) -> Listed | None:
    """Returns one version as a row; ``None`` where there is none."""
    return _one(store, jobs.c.key == key)


def listed_by_number(store: Store, number: int) -> Listed | None:
    """Returns the version that a job is, by the number of the job; ``None`` where there is none."""
    return _one(store, jobs.c.id == number)


def _one(store: Store, which: ColumnElement[bool]) -> Listed | None:
    with store.reading() as connection:
        rows = _rows(connection, connection.execute(_joined().where(which)).all())
    return rows[0].row() if rows else None


def last_change(store: Store) -> float:
    """Returns when anything of the worklist changed last; a page that was made after it is still true."""
    with store.reading() as connection:
        moments = [connection.execute(select(func.max(table.c.changed_at))).scalar() for table in (jobs, outbox)]
    return max((moment for moment in moments if moment is not None), default=0.0)


def changed_series(store: Store, moment: float) -> frozenset[int] | None:
    """Returns the series of which a row of the worklist changed at a moment or later, by number.

    It returns ``None`` where that is not known: the clocks of several machines write into one PostgreSQL.
    """
    with store.reading() as connection:
        if is_postgresql(connection):
            return None
        return frozenset(connection.execute(_changed(), {_SINCE: moment}).scalars())


@cache
def _changed() -> CompoundSelect[Any]:
    of_jobs = select(jobs.c.series_id).where(jobs.c.changed_at >= bindparam(_SINCE))
    of_objects = select(jobs.c.series_id).join(outbox, outbox.c.job_id == jobs.c.id).where(outbox.c.changed_at >= bindparam(_SINCE))
    return union(of_jobs, of_objects)


def _result_columns() -> tuple[ColumnElement[Any], ...]:
    return tuple(cast(jobs.c[name], Text) if name in _JSON else jobs.c[name] for name in _OF_RESULT)


def _joined() -> Select[Any]:
    """Returns rows of the number of the series and of the job, then the columns of :class:`StoredRow`: newest, result."""
    ours = (*(jobs.c[name] for name in _OF_JOB), *(series.c[name] for name in _OF_SERIES))
    person = tuple(patients.c[name] for name in _PATIENT)
    found = select(jobs.c.series_id, jobs.c.id, *ours, *person, *_result_columns())
    return found.join(series, series.c.id == jobs.c.series_id).outerjoin(patients, patients.c.series_id == series.c.id)


@lru_cache(maxsize=32)  # to make a statement of these takes as long as to run it
def _chosen(wanted: Filter, among: bool) -> Select[Any]:
    """Returns the rows that are wanted, in order, with the columns of that order; all columns are read of those only."""
    order = _order(wanted.order)
    few = select(jobs.c.id).outerjoin(series, series.c.id == jobs.c.series_id)  # databases leave out what is not asked for
    few = few.outerjoin(patients, patients.c.series_id == jobs.c.series_id).where(~_newer().exists(), *_conditions(wanted))
    few = few.where(_among(jobs.c.series_id)) if among else few
    numbers = few.order_by(*order).limit(min(wanted.most, _MOST)).offset(wanted.skip).subquery()
    places = [column.label(f"place{number}") for number, column in enumerate(order)]
    return _joined().add_columns(*places).join(numbers, numbers.c.id == jobs.c.id).order_by(*places)


def _newer() -> Select[Any]:
    """Returns later versions of the same series; an ignored one is shown only where there is no other."""
    other, ignored = jobs.alias(), jobs.c.state == State.IGNORED
    other_counts = other.c.state != State.IGNORED
    later = and_(other.c.version > jobs.c.version, or_(other_counts, ignored))
    return select(other.c.id).where(other.c.series_id == jobs.c.series_id, or_(later, and_(ignored, other_counts)))


def _conditions(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    if wanted.states:
        yield jobs.c.state.in_(wanted.states)
    if wanted.site is not None:
        yield series.c.site == wanted.site
    if wanted.text:
        columns = (patients.c.patient_name, patients.c.patient_id, patients.c.accession)
        yield or_(*(column.icontains(wanted.text, autoescape=True) for column in columns))
    if wanted.days is not None:
        yield series.c.received_at >= bindparam(_SINCE)
    if wanted.acknowledged is not None:
        yield _said() if wanted.acknowledged else ~_said()


def _order(order: Order) -> tuple[ColumnElement[Any], ...]:
    orders: dict[Order, tuple[ColumnElement[Any], ...]] = {
        Order.RANK: (_said(), jobs.c.rank_at),
        Order.RECEIVED: (-series.c.received_at,),
        Order.PROBABILITY: (jobs.c.probability.is_(None), -jobs.c.probability),
    }
    return (*orders[order], jobs.c.id)


def _said() -> ColumnElement[bool]:
    return select(verdicts.c.id).where(verdicts.c.job_id == jobs.c.id).exists()


def _rows(connection: Connection, found: Sequence[Row[Any]]) -> tuple[StoredRow, ...]:
    lines: list[tuple[Any, ...]] = [tuple(row) for row in found]
    start, end = 2, 2 + len(_PLAIN) + len(_PATIENT)
    last = end + len(_OF_RESULT)
    state = start + _OF_JOB.index("state")
    results = {line[0]: (line[1], line[end:last]) for line in lines if line[state] in WITH_RESULT}
    results |= _earlier_results(connection, [line[0] for line in lines if line[0] not in results])
    numbers = [number for number, _ in results.values()]
    deliveries, readers = _deliveries(connection, numbers), _readers(connection, numbers)
    waiting = [number for number, said in deliveries.items() if any(state == DeliveryState.WAITING for _, state, _ in said)]
    refusals = _refusals(connection, waiting)
    rows = []
    for line in lines:
        number, result = results.get(line[0], (0, ()))
        about = deliveries.get(number, ()), refusals.get(number, ()), readers.get(number, ())
        rows.append(StoredRow(line[0], line[last:], line[start:end], result, *about))
    return tuple(rows)


def _earlier_results(connection: Connection, series_ids: Sequence[int]) -> dict[int, tuple[int, tuple[Any, ...]]]:
    """Returns the newest finished version of each series; those that newer ones superseded are no results any more."""
    if not series_ids:
        return {}
    lines: list[tuple[Any, ...]] = [tuple(row) for row in connection.execute(_finished(), {_NUMBERS: series_ids})]
    return {line[0]: (line[1], line[2:]) for line in lines}


@cache
def _finished() -> Select[Any]:
    found = select(jobs.c.series_id, jobs.c.id, *_result_columns())
    return found.where(_among(jobs.c.series_id), jobs.c.state.in_(WITH_RESULT)).order_by(jobs.c.version)


def _among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column.in_(bindparam(_NUMBERS, expanding=True))


def _result(values: tuple[Any, ...]) -> ListedResult:
    plain = dict(zip(_OF_RESULT, values, strict=True))
    lists = {name: tuple(json.loads(plain[name])) for name in _JSON}
    return ListedResult(**plain | lists | {"state": State(plain["state"])})


def _deliveries(connection: Connection, job_ids: Sequence[int]) -> dict[int, tuple[tuple[str, str, int], ...]]:
    if not job_ids:
        return {}
    found: dict[int, tuple[tuple[str, str, int], ...]] = {}
    for job_id, destination, state, number in connection.execute(_counted(), {_NUMBERS: job_ids}):
        found[job_id] = (*found.get(job_id, ()), (destination, state, number))
    return found


@cache
def _counted() -> Select[Any]:
    key = (outbox.c.job_id, outbox.c.destination, outbox.c.state)
    return select(*key, func.count()).where(_among(outbox.c.job_id)).group_by(*key).order_by(*key)


def _refusals(connection: Connection, job_ids: Sequence[int]) -> dict[int, tuple[tuple[str, str], ...]]:
    """Returns the newest answer of each archive that has not taken all; answers to objects that it took meanwhile do not count."""
    if not job_ids:
        return {}
    found: dict[int, dict[str, str]] = {}
    for job_id, destination, error in connection.execute(_answers(), {_NUMBERS: job_ids}):
        found.setdefault(job_id, {})[destination] = error
    return {job_id: tuple(sorted(said.items())) for job_id, said in found.items()}


@cache
def _answers() -> Select[Any]:
    wanted = and_(_among(outbox.c.job_id), outbox.c.state == DeliveryState.WAITING, outbox.c.error.is_not(None))
    return select(outbox.c.job_id, outbox.c.destination, outbox.c.error).where(wanted).order_by(outbox.c.changed_at)


def _readers(connection: Connection, job_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    if not job_ids:
        return {}
    found: dict[int, tuple[str, ...]] = {}
    for job_id, reader in connection.execute(_said_by(), {_NUMBERS: job_ids}):
        found[job_id] = (*found.get(job_id, ()), reader)
    return found


@cache
def _said_by() -> Select[Any]:
    key = (verdicts.c.job_id, verdicts.c.reader)
    return select(*key).where(_among(verdicts.c.job_id)).distinct().order_by(*key)
