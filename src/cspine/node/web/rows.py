"""Puts rows of the worklist into words: why one stands where it stands, what was found, how far it has gone."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from cspine.anatomy import CERVICAL
from cspine.node.priority import SUSPICIOUS_PROBABILITY
from cspine.node.store import DeliveryState, State
from cspine.node.store.worklist import Listed, ListedResult
from cspine.reporting.words import from_to, percent
from cspine.results import CAUTIONS

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_HIDDEN = "•••"
_READ_S = 1e12
"""Added to the rank of what was read: later than any moment."""

_HIGHEST = 20
"""Steps of a bar: a style sheet has a class for each, as the policy of the pages allows no style in an element."""

_STATES = {
    State.QUEUED: "queued",
    State.RUNNING: "being assessed",
    State.DONE: "assessed",
    State.REJECTED: "not assessed",
    State.FAILED: "failed",
    State.SUPERSEDED: "superseded",
    State.IGNORED: "ignored",
}
_LEVEL_WORDS = {"partly_in_view": "partly in view", "not_in_view": "not in view", "uncertain": "uncertain", "assessed": "assessed"}


@dataclass(frozen=True, slots=True)
class LevelCell:
    """Holds one level of the strip.

    Attributes:
        name: Which.
        tone: ``suspicious``, ``calm`` or ``unknown``.
        text: Its probability, or nothing.
        title: All of it in words.
        bar: The probability as a height, 0..20.
        positive: Whether it is flagged; ``None`` where it was not assessed.
        status: How much of it was assessed, in words.
    """

    name: str
    tone: str
    text: str
    title: str
    bar: int
    positive: bool | None
    status: str


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """Holds what a row of the worklist shows.

    Attributes:
        key: Name of the version.
        link: Its page.
        tone: How it is coloured.
        why: What counts in its favour, in a word.
        received: When it came, ISO 8601.
        rank: By what it is ordered, the smallest first; what somebody has read comes after all others.
        patient: Name of the patient.
        patient_id: Identifier of the patient.
        accession: Accession number.
        description: Of the study.
        site: What people call the place.
        scanner: Manufacturer and model.
        images: How many.
        levels: The strip; empty where there is no result.
        probability: Of any fracture, for people.
        range: Over test-time augmentation.
        unsure: Whether its ends lie on either side of the threshold.
        value: The probability as a number, -1 where there is none.
        state: How far it is.
        reason: Why it was rejected, failed or ignored.
        version: Which version of the series, where there is more than one.
        older: Which earlier version the result shown belongs to, where the newest has none yet; 0 otherwise.
        warnings: What to mind.
        delivery: How far the objects are on their way.
        refusal: Why they still are, in the words of the archives.
        verdict: Who has given one.
        can_requeue: Whether it may be queued again.
    """

    key: str
    link: str
    tone: str
    why: str
    received: str
    rank: float
    patient: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession: str = field(repr=False)
    description: str = field(repr=False)
    site: str
    scanner: str
    images: int
    levels: tuple[LevelCell, ...]
    probability: str
    range: str
    unsure: bool
    value: float
    state: str
    reason: str
    version: int
    older: int
    warnings: tuple[str, ...]
    delivery: str
    refusal: str
    verdict: str
    can_requeue: bool


def worklist_row(row: Listed, *, masked: bool) -> WorklistRow:
    """Returns a row as it is shown; it says nothing that changes by itself, as how long it has waited.

    Args:
        row: What the store knows.
        masked: Whether the patient is hidden.
    """
    result, patient = row.result, row.patient
    hide = _hidden if masked else str
    shown = result is not None and result.state is State.DONE
    older = 0 if result is None or result.version == row.version else result.version
    return WorklistRow(
        key=row.key,
        link=f"/studies/{quote(row.key)}",
        tone=_tone(row),
        why=_why(row),
        received=moment_text(row.received_at),
        rank=row.rank_at + (_READ_S if row.readers and not older else 0.0),
        patient=hide(patient.patient_name.replace("^", " ").strip()),
        patient_id=hide(patient.patient_id),
        accession=hide(patient.accession),
        description=hide(patient.study_description),
        site=row.site or row.source,
        scanner=row.scanner,
        images=row.images,
        levels=level_cells(result) if shown and result is not None else (),
        probability=percent(result.probability) if result is not None and result.probability is not None else "",
        range=_range(result),
        unsure=_is_unsure(result),
        value=-1.0 if result is None or result.probability is None else result.probability,
        state=_STATES[row.state],
        reason=row.reason or "",
        version=row.version,
        older=older,
        warnings=_warnings(result),
        delivery=delivery_words(row.deliveries),
        refusal="; ".join(f"{name}: {why}" for name, why in sorted(row.refusals.items())),
        verdict=", ".join(row.readers),
        can_requeue=row.state in (State.FAILED, State.IGNORED),
    )


def level_cells(result: ListedResult) -> tuple[LevelCell, ...]:
    """Returns the strip C1..C7 of a result."""
    said = {level["level"]: level for level in result.levels}
    cells = []
    for level in CERVICAL:
        found = said.get(level.name, {})
        probability, positive = found.get("probability"), found.get("positive")
        status = _LEVEL_WORDS.get(str(found.get("status", "")), "not assessed")
        text = "" if probability is None else percent(probability)
        tone = "unknown" if positive is None else "suspicious" if positive else "calm"
        words = "" if positive is None else ", flagged" if positive else ", below its threshold"
        title = f"{level.name}: {f'{text}{words}, ' if text else ''}{status}"
        bar = 0 if probability is None else round(_HIGHEST * float(probability))
        cells.append(LevelCell(level.name, tone, text, title, bar, positive, status))
    return tuple(cells)


def duration(seconds: float) -> str:
    """Returns how long something took, in one unit, as ``34 min``."""
    seconds = max(0.0, seconds)
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} days"


def moment_text(moment: float) -> str:
    """Returns a moment as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def delivery_words(deliveries: dict[str, dict[DeliveryState, int]]) -> str:
    """Returns how far the objects of a result are, by archive, as ``pacs 3 of 3``."""
    parts = []
    for destination, states in sorted(deliveries.items()):
        there = states.get(DeliveryState.DELIVERED, 0) + states.get(DeliveryState.CONFIRMED, 0)
        wanted = sum(number for state, number in states.items() if state is not DeliveryState.CANCELLED)
        confirmed = there and states.get(DeliveryState.CONFIRMED, 0) == wanted
        parts.append(f"{destination} {there} of {wanted}{', confirmed' if confirmed else ''}" if wanted else "")
    return "; ".join(filter(None, parts))


def _hidden(text: str) -> str:
    return _HIDDEN if text else ""


def _why(row: Listed) -> str:
    result = row.result
    if row.state in (State.REJECTED, State.FAILED, State.IGNORED) or result is None:
        return _STATES[row.state]
    if result.state is State.REJECTED:
        return _STATES[State.REJECTED]
    if result.positive:
        return "positive"
    return "suspicious" if (result.probability or 0.0) > SUSPICIOUS_PROBABILITY else "negative"


def _tone(row: Listed) -> str:
    if row.result is not None and row.result.positive:
        return "suspicious"
    if row.state is State.FAILED:
        return "trouble"
    return "calm" if row.result is not None and row.result.state is State.DONE else "unknown"


def _warnings(result: ListedResult | None) -> tuple[str, ...]:
    codes = () if result is None else dict.fromkeys(result.warnings)
    return tuple(code.replace("_", " ") for code in codes if code not in CAUTIONS)


def _range(result: ListedResult | None) -> str:
    return "" if result is None or result.low is None or result.high is None else from_to(result.low, result.high)


def _is_unsure(result: ListedResult | None) -> bool:
    if result is None or result.low is None or result.high is None or result.threshold is None:
        return False
    return result.low < result.threshold <= result.high
