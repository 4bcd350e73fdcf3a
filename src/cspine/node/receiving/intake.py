"""Queues a complete series: reads what one image says of it, asks the rules, takes a snapshot."""

import logging

from cspine.node.config import Action, Config, Rule
from cspine.node.receiving.headers import SeriesHeader, read_series_header
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.rules import OWN_NAMES
from cspine.node.store import Store
from cspine.node.store.arrivals import enqueue
from cspine.node.store.nouns import Arrival

_log = logging.getLogger(__name__)


class Intake:
    """Queues series; processes may do so at the same time."""

    def __init__(self, config: Config, store: Store) -> None:
        self._rules, self._store = config.rules, store
        self._spool = Spool(Folders(config.node.data))
        self._asked = frozenset(name for rule in config.rules for name in rule.parsed.names()) - OWN_NAMES

    def queue(self, series_uid: str, source: str, site: str, hold_s: float = 0.0) -> int | None:
        """Queues a series as it is now.

        Args:
            series_uid: Which.
            source: Who sent it.
            site: What people call the place.
            hold_s: Its result is not recorded before; for a series that may not be complete. One that a rule ignores waits.

        Returns:
            The number of the job; ``None`` where there is nothing new, or nothing to do yet.

        Raises:
            OSError: The images cannot be read or linked.
        """
        image = self._spool.first_image(series_uid)
        if image is None:
            return None
        arrival = self._arrival(series_uid, source, site, read_series_header(image, self._asked))
        if hold_s > 0 and arrival.ignored is not None:
            return None
        job_id = enqueue(self._store, arrival, lambda: self._spool.snapshot(series_uid), hold_s)
        if job_id is not None:
            _log.info("job %d is %s", job_id, "queued" if arrival.ignored is None else "ignored by a rule")
        return job_id

    def _arrival(self, series_uid: str, source: str, site: str, header: SeriesHeader) -> Arrival:
        facts = {**header.values, "images": str(len(self._spool.images(series_uid))), "source": source, "site": site}
        rule = next((rule for rule in self._rules if rule.parsed.fits(facts)), None)
        return Arrival(
            series_uid=series_uid,
            study_uid=header.study_uid,
            source=source,
            site=site,
            scanner=header.scanner,
            kernel=header.kernel,
            patient=header.patient,
            minutes=0.0 if rule is None else rule.minutes,
            ignored=_ignored(rule),
        )


def _ignored(rule: Rule | None) -> str | None:
    if rule is None or rule.action is not Action.IGNORE:
        return None
    return f"A rule ignores it: {rule.condition}"
