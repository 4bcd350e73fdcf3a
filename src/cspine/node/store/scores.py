"""Gives monitoring what results said, apart from patients: scores, and codes of refusals, by site, scanner and kernel."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from cspine.node.store.database import Store
from cspine.node.store.nouns import State
from cspine.node.store.tables import jobs, series

_ENDED = (State.DONE, State.REJECTED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Scored:
    """Holds what monitoring needs of the newest finished version of a series.

    Attributes:
        key: Name of the version.
        state: Done, rejected or failed.
        site: What people call the place.
        scanner: Manufacturer and model.
        kernel: Reconstruction kernel.
        probability: Of any fracture; ``None`` where it was not assessed.
        low: The lowest over the passes of test-time augmentation.
        high: The highest.
        threshold: The lowest probability that is positive.
        positive: Whether it is.
        levels: Probabilities of C1..C7 by name; only those that were assessed.
        code: Why it was rejected or failed.
        package: Name and version of the model package.
        finished_at: When.
        timings: Seconds by stage.
    """

    key: str
    state: State
    site: str
    scanner: str
    kernel: str
    probability: float | None
    low: float | None
    high: float | None
    threshold: float | None
    positive: bool | None
    levels: dict[str, float]
    code: str | None
    package: str
    finished_at: float
    timings: dict[str, float]

    @property
    def sure(self) -> bool:
        """Says whether all passes of test-time augmentation lie on the same side of the threshold."""
        if self.low is None or self.high is None or self.threshold is None:
            return True
        return self.low >= self.threshold or self.high < self.threshold


def read_scores(store: Store, since: float = 0.0) -> tuple[Scored, ...]:
    """Returns what came of the newest finished version of every series, the oldest first.

    Args:
        store: The store.
        since: Only those that were finished at this moment or later.
    """
    found = select(jobs, series.c.site, series.c.scanner, series.c.kernel).join(series, series.c.id == jobs.c.series_id)
    found = found.where(jobs.c.state.in_(_ENDED), jobs.c.finished_at.is_not(None)).order_by(jobs.c.version)
    with store.reading() as connection:
        newest = {row.series_id: row for row in connection.execute(found)}
    rows = sorted((row for row in newest.values() if row.finished_at >= since), key=lambda row: (row.finished_at, row.id))
    return tuple(
        Scored(
            key=row.key,
            state=State(row.state),
            levels=dict(_assessed(row.levels)),
            package=f"{row.package} {row.package_version}".strip(),
            timings=dict(row.timings),
            **{name: getattr(row, name) for name in _PLAIN},
        )
        for row in rows
    )


_PLAIN = ("site", "scanner", "kernel", "probability", "low", "high", "threshold", "positive", "code", "finished_at")


def _assessed(levels: list[dict[str, object]]) -> Iterator[tuple[str, float]]:
    for level in levels:
        probability = level.get("probability")
        if isinstance(probability, float | int):
            yield str(level["level"]), float(probability)
