"""Removes what is old: images after some days, results and what is known of patients after some more."""

import logging
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from cspine.node.config import KeepSettings
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.store import DeliveryState, Store
from cspine.node.store.nouns import OPEN
from cspine.node.store.tables import facts, jobs, outbox, patients, series
from cspine.storage.files import remove

_DAY_S = 86400.0
_NOTED_S = 600.0
_LOOKED, _WAITS = "retention_looked_at", "retention_waits_until"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """Counts what retention removed.

    Attributes:
        scans: Series whose images are gone.
        results: Versions whose results are gone.
    """

    scans: int
    results: int


def remove_old(store: Store, folders: Folders, keep: KeepSettings, completeness: Completeness) -> Removed:
    """Removes once what is older than the configuration says; series that are coming in or in work stay.

    Run by the receiver, which alone knows what is coming in. Where the clock is more than a day ahead of the last look, nothing
    is removed for a day: the node was off for so long, or the clock is wrong, and then all would be old at once.
    """
    if _waits(store):
        return Removed(0, 0)
    scans = sum(_remove_scans(store, folders, number, uid) for number, uid in _old_scans(store, folders, keep, completeness))
    old = _old_results(store, keep)
    for number, key in old:
        remove(folders.results / key)
        with store.writing() as connection:
            left = and_(outbox.c.job_id == number, outbox.c.state == DeliveryState.WAITING)
            now, why = store.clock(), "The result was removed."
            connection.execute(update(outbox).where(left).values(state=DeliveryState.CANCELLED, error=why, changed_at=now))
            connection.execute(update(jobs).where(jobs.c.id == number).values(erased=True, changed_at=now))
    _erase_patients(store)
    if scans or old:
        _log.info("retention removed the images of %d series and %d results", scans, len(old))
    return Removed(scans, len(old))


def _waits(store: Store) -> bool:
    """Says whether nothing is to be removed because the clock was set forward; notes when it was looked at."""
    now = store.clock()
    with store.writing() as connection:
        said = dict(connection.execute(select(facts.c.name, facts.c.value).where(facts.c.name.in_((_LOOKED, _WAITS)))).all())
        looked_at, until = float(said.get(_LOOKED, now)), float(said.get(_WAITS, 0.0))
        if now - looked_at > _DAY_S:
            until = now + _DAY_S
            _note(connection, _WAITS, until)
            days = (now - looked_at) / _DAY_S
            _log.warning("retention removes nothing for a day: the clock is %.0f days ahead of its last look", days)
        if _LOOKED not in said or abs(now - looked_at) >= _NOTED_S:
            _note(connection, _LOOKED, now)
    return now < until <= now + _DAY_S


def _note(connection: Connection, name: str, value: float) -> None:
    connection.execute(delete(facts).where(facts.c.name == name))
    connection.execute(insert(facts).values(name=name, value=repr(float(value))))


def _old_scans(store: Store, folders: Folders, keep: KeepSettings, completeness: Completeness) -> list[tuple[int, str]]:
    in_work = select(jobs.c.id).where(jobs.c.series_id == series.c.id, jobs.c.state.in_(OPEN)).exists()
    moment, spool = store.clock() - keep.scans_days * _DAY_S, Spool(folders)
    old = and_(series.c.updated_at < moment, ~series.c.scans_erased, ~in_work)
    with store.reading() as connection:
        rows = connection.execute(select(series.c.id, series.c.series_uid).where(old)).all()
    found = [(int(row.id), str(row.series_uid)) for row in rows]
    return [(number, uid) for number, uid in found if not completeness.is_pending(uid) and not spool.is_newer(uid, moment)]


def _remove_scans(store: Store, folders: Folders, number: int, series_uid: str) -> bool:
    """Removes the images of a series; a crash before the store knows has the next run do it again."""
    with store.writing() as connection:
        connection.execute(select(series.c.id).where(series.c.id == number).with_for_update())
        in_work = select(jobs.c.id).where(jobs.c.series_id == number, jobs.c.state.in_(OPEN))
        if connection.execute(in_work).first() is not None:
            return False
        keys = connection.execute(select(jobs.c.key).where(jobs.c.series_id == number)).scalars().all()
        Spool(folders).drop_series(series_uid)
        for key in keys:
            remove(folders.scans / key)
        connection.execute(update(series).where(series.c.id == number).values(scans_erased=True))
    return True


def _old_results(store: Store, keep: KeepSettings) -> list[tuple[int, str]]:
    old = and_(jobs.c.finished_at < store.clock() - keep.results_days * _DAY_S, ~jobs.c.erased, jobs.c.state.not_in(OPEN))
    never = and_(jobs.c.finished_at.is_(None), jobs.c.changed_at < store.clock() - keep.results_days * _DAY_S)
    waiting = and_(never, ~jobs.c.erased, jobs.c.state.not_in(OPEN))
    with store.reading() as connection:
        rows = connection.execute(select(jobs.c.id, jobs.c.key).where(or_(old, waiting))).all()
    return [(row.id, row.key) for row in rows]


def _erase_patients(store: Store) -> None:
    """Erases what is known of patients none of whose results are left."""
    kept = select(jobs.c.id).where(jobs.c.series_id == patients.c.series_id, ~jobs.c.erased).exists()
    with store.writing() as connection:
        gone = connection.execute(select(patients.c.series_id).where(~kept)).scalars().all()
        connection.execute(update(jobs).where(jobs.c.series_id.in_(gone)).values(changed_at=store.clock()))
        connection.execute(delete(patients).where(patients.c.series_id.in_(gone)))
