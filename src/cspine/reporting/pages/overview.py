"""``index.html``: all studies of a batch, the most suspicious first, and those without a result with their reason."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cspine.anatomy import CERVICAL
from cspine.errors import OutputError
from cspine.reporting.json_result import read_result
from cspine.reporting.pages import identified, study
from cspine.reporting.pages.templating import render
from cspine.reporting.pages.tone import Tone
from cspine.reporting.table import OVERVIEW as FILE
from cspine.reporting.words import STATUS_WORDS, from_to, percent
from cspine.results import CAUTIONS, DISCLAIMER, LevelStatus
from cspine.storage.files import write_text
from cspine.storage.strict_json import read_json

TEMPLATE = "overview.html"
LEVELS = tuple(level.name for level in CERVICAL)

SUSPECTED, NOT_SUSPECTED = VERDICTS = ("suspected", "not suspected")
"""The study is above its threshold; only levels are above theirs; neither."""

_BEST_TO_OPEN = (*study.FILES, *identified.FILES, "result.png", "result.json")


@dataclass(frozen=True, slots=True)
class OverviewCell:
    """A number of a study.

    Attributes:
        tone: How it is coloured.
        value: For sorting, 0..1; -1 where there is none.
        text: For people: a probability, or why there is none.
        range: Range over the passes of test-time augmentation, such as ``48–71 %``; empty where they read the same.
        unsure: Whether they are not on the same side of the threshold.
    """

    tone: Tone
    value: float
    text: str
    range: str = ""
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """A study that was assessed.

    Attributes:
        name: What the user calls it.
        link: Its page, relative to this one; empty where nothing was written.
        verdict: What is said about the study, in a word or two.
        overall: The probability of any fracture.
        levels: Those of C1..C7.
        notes: How many notes its page has.
    """

    name: str
    link: str
    verdict: str
    overall: OverviewCell
    levels: tuple[OverviewCell, ...]
    notes: int


@dataclass(frozen=True, slots=True)
class Unassessed:
    """A study without a result.

    Attributes:
        name: What the user calls it.
        link: Its page, relative to this one; empty where nothing was written.
        status: What became of it.
        reason: Why.
    """

    name: str
    link: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """Holds what the template of the overview is given.

    Attributes:
        name: The folder of the batch.
        model: The package, in a few words.
        point: The operating point.
        disclaimer: What cspine is not.
        caution: Warning about what the model was trained on; may be empty.
        levels: Names of the columns of levels.
        ranged: Whether any number has a range.
        counts: How many studies became what.
        rows: Studies that were assessed, the most suspicious first.
        unassessed: Studies that were not, by name.
    """

    name: str
    model: str
    point: str
    disclaimer: str
    caution: str
    levels: tuple[str, ...]
    ranged: bool
    counts: dict[str, int]
    rows: tuple[OverviewRow, ...]
    unassessed: tuple[Unassessed, ...]


def write_overview(out: Path, journal: str = "run.json") -> Path:
    """Writes ``index.html`` beside the journal of a batch, whole or not at all.

    Args:
        out: Folder of the batch.
        journal: Name of its journal.

    Raises:
        OutputError: The journal cannot be read, or the page cannot be written.
    """
    try:
        run = _journal(out / journal)
        write_text(out / FILE, to_html(overview_page(out, run)), errors="replace")  # names of files that are not UTF-8
    except OSError as error:
        raise OutputError(f"{FILE} is written beside {journal}. In {out}: {error.strerror}. Choose another folder.") from error
    return out / FILE


def _journal(path: Path) -> dict[str, Any]:
    """Returns what a journal says, as far as the page needs it.

    Raises:
        OutputError: It is damaged.
    """
    try:
        return _checked(read_json(path))
    except ValueError as error:
        raise OutputError(f"{path} must be the journal of a batch: {error}. Detect again, into a new folder.") from error


def _checked(run: Any) -> dict[str, Any]:
    model, jobs = (run.get("model"), run.get("cases")) if isinstance(run, dict) else (None, None)
    if not isinstance(model, dict) or not all(isinstance(model.get(key), str) for key in ("name", "version")):
        raise ValueError("it names no model")
    if not isinstance(jobs, list) or not isinstance(run.get("operating_point"), str):
        raise ValueError("it has no list of cases, or no operating point")  # noqa: TRY004  # one error for all that is wrong
    for job in jobs:
        texts = [job.get(key) for key in ("name", "status")] if isinstance(job, dict) else [None]
        files, reason = (job.get("files"), job.get("reason")) if isinstance(job, dict) else (None, None)
        if not all(isinstance(text, str) for text in texts) or not isinstance(files, list) or not isinstance(reason, str | None):
            raise ValueError("a case lacks its name, status, files or reason")
        if Path(job["name"]).name != job["name"]:
            raise ValueError("a case has a name with folders")
    return dict(run)


def to_html(page: OverviewPage) -> str:
    """Returns the page as a file."""
    return render(TEMPLATE, context(page))


def context(page: OverviewPage) -> dict[str, Any]:
    """Returns what the template is given: the attributes of :class:`OverviewPage`, by name."""
    return {attribute.name: getattr(page, attribute.name) for attribute in fields(page)}


def overview_page(out: Path, run: dict[str, Any]) -> OverviewPage:
    """Returns what the overview says, from the journal of a batch and the results that it lists."""
    results = [(case, _result(out, case)) for case in run["cases"]]
    assessed = [(case, result) for case, result in results if result is not None and result["status"] == "ok"]
    others = [case for case, result in results if result is None or result["status"] != "ok"]
    rows = sorted((_row(case, result) for case, result in assessed), key=_suspicion)
    return OverviewPage(
        name=out.resolve().name,
        model=f"{run['model']['name']}, version {run['model']['version']}",
        point=str(run["operating_point"]).replace("_", " "),
        disclaimer=DISCLAIMER,
        caution=_caution(result for _, result in results if result is not None),
        levels=LEVELS,
        ranged=any(entry.range for row in rows for entry in (row.overall, *row.levels)),
        counts=_counts(rows, others),
        rows=tuple(rows),
        unassessed=tuple(sorted(map(_unassessed, others), key=lambda case: case.name.casefold())),
    )


def _result(out: Path, case: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the result of a case; ``None`` where it failed, waits, or was taken away."""
    if case["status"] not in ("ok", "rejected"):
        return None
    try:
        return read_result(out / case["name"] / "result.json")
    except (OSError, ValueError):
        return None


def _row(case: dict[str, Any], result: dict[str, Any]) -> OverviewRow:
    reasons = [reason for reason in result["reasons"] if reason["code"] not in CAUTIONS]
    overall, levels = _entry(result["patient_overall"]), tuple(map(_entry, result["levels"]))
    return OverviewRow(
        name=case["name"],
        link=_link(case),
        verdict=SUSPECTED if overall.tone is Tone.SUSPICIOUS else NOT_SUSPECTED,
        overall=overall,
        levels=levels,
        notes=len(reasons) + len(result["study"]["warnings"]),
    )


def _entry(entry: dict[str, Any]) -> OverviewCell:
    if entry["probability"] is None:
        return OverviewCell(Tone.UNKNOWN, -1.0, STATUS_WORDS[LevelStatus(entry["status"])])
    tone, spread = Tone.SUSPICIOUS if entry["positive"] else Tone.CALM, entry["range"]
    low, high = (spread["low"], spread["high"]) if spread else (entry["probability"],) * 2
    unsure = low < entry["threshold"] <= high
    return OverviewCell(tone, entry["probability"], percent(entry["probability"]), from_to(low, high), unsure)


def _suspicion(row: OverviewRow) -> tuple[int, float, float, str]:
    """Returns a key that sorts by verdict, then by the probability of the study, then of its highest level."""
    highest = max((entry.value for entry in row.levels), default=-1.0)
    return VERDICTS.index(row.verdict), -row.overall.value, -highest, row.name.casefold()


def _unassessed(case: dict[str, Any]) -> Unassessed:
    missing = "Its result.json is not there." if case["status"] == "ok" else "It was not reached."
    return Unassessed(case["name"], _link(case), case["status"], case.get("reason") or missing)


def _link(case: dict[str, Any]) -> str:
    for file in _BEST_TO_OPEN:
        if file in case["files"]:
            return f"{quote(case['name'])}/{file}"
    return ""


def _counts(rows: Iterable[OverviewRow], others: Iterable[dict[str, Any]]) -> dict[str, int]:
    verdicts, statuses = Counter(row.verdict for row in rows), Counter(case["status"] for case in others)
    known = {verdict: verdicts[verdict] for verdict in VERDICTS} | {name: statuses[name] for name in ("rejected", "failed")}
    return known | {name: count for name, count in statuses.items() if name not in known}


def _caution(results: Iterable[dict[str, Any]]) -> str:
    texts = (reason["text"] for result in results for reason in result["reasons"] if reason["code"] in CAUTIONS)
    return " ".join(dict.fromkeys(texts))
