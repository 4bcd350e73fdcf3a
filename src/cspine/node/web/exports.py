"""Writes verdicts as tables: labels in the layout of RSNA 2022, and every level with who said it of which result."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from cspine.anatomy import CERVICAL
from cspine.node.store.audit import Entry, record
from cspine.node.store.verdicts import KeptVerdict, read_verdicts
from cspine.node.web.guard import needs
from cspine.node.web.rows import moment_text
from cspine.node.web.services import services_of, visitor_of
from cspine.node.web.visitors import Permission

_LEVELS = tuple(level.name for level in CERVICAL)
LABEL_COLUMNS = ("StudyInstanceUID", "patient_overall", *_LEVELS)
VERDICT_COLUMNS = (
    *("study_uid", "series_uid", "version", "package", "package_version"),
    *("reader", "given_at", "level", "fractured", "comment"),
)


@dataclass(frozen=True, slots=True)
class ReaderLabels:
    """Holds what verdicts say about studies.

    Attributes:
        fractured: C1..C7 by Study Instance UID, of studies about which all seven are said and nobody disagrees.
        incomplete: How many studies lack a level.
        disputed: How many studies readers disagree about.
    """

    fractured: dict[str, tuple[bool, ...]]
    incomplete: int
    disputed: int


def reader_labels(verdicts: Iterable[KeptVerdict]) -> ReaderLabels:
    """Returns the labels that verdicts give; of each series the newest version that has a verdict counts."""
    newest: dict[str, int] = {}
    kept = list(verdicts)
    for one in kept:
        newest[one.series_uid] = max(one.version, newest.get(one.series_uid, 0))
    said: dict[str, dict[str, set[bool]]] = {}
    for one in kept:
        if one.version == newest[one.series_uid]:
            for name, value in one.verdict.levels.items():
                said.setdefault(one.study_uid, {}).setdefault(name, set()).add(value)
    disputed = {uid for uid, levels in said.items() if any(len(values) > 1 for values in levels.values())}
    whole = {uid for uid, levels in said.items() if set(_LEVELS) <= set(levels)} - disputed
    fractured = {uid: tuple(said[uid][name] == {True} for name in _LEVELS) for uid in said if uid in whole}
    return ReaderLabels(fractured, len(said) - len(whole) - len(disputed), len(disputed))


def labels_csv(labels: ReaderLabels) -> str:
    """Returns ``train.csv`` of the RSNA layout."""
    rows = [(uid, int(any(levels)), *map(int, levels)) for uid, levels in labels.fractured.items()]
    return _table(LABEL_COLUMNS, rows)


def verdicts_csv(verdicts: Iterable[KeptVerdict]) -> str:
    """Returns a row for each level of each verdict."""
    rows = []
    for kept in verdicts:
        about = (kept.study_uid, kept.series_uid, kept.version, kept.package, kept.package_version)
        for name, fractured in sorted(kept.verdict.levels.items()):
            said = (kept.verdict.reader, moment_text(kept.created_at), name, int(fractured), kept.verdict.comment)
            rows.append((*about, *said))
    return _table(VERDICT_COLUMNS, rows)


@needs(Permission.EXPORT)
async def export_labels(request: Request) -> Response:
    """Returns the labels; headers say how many studies are left out."""
    labels = reader_labels(await run_in_threadpool(read_verdicts, services_of(request).store))
    left_out = {"x-incomplete-studies": str(labels.incomplete), "x-disputed-studies": str(labels.disputed)}
    return await _download(request, "train.csv", labels_csv(labels), left_out)


@needs(Permission.EXPORT)
async def export_verdicts(request: Request) -> Response:
    """Returns every verdict."""
    kept = await run_in_threadpool(read_verdicts, services_of(request).store)
    return await _download(request, "verdicts.csv", verdicts_csv(kept), {})


async def _download(request: Request, name: str, text: str, headers: dict[str, str]) -> Response:
    user = visitor_of(request).user
    await run_in_threadpool(record, services_of(request).store, Entry("" if user is None else user.name, "export", name))
    headers = {"content-disposition": f'attachment; filename="{name}"', **headers}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue()


def _plain(cell: object) -> object:
    """Returns a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
