"""The pages for people: the worklist, a study, verdicts, who has done what."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from cspine.errors import UsageError
from cspine.node.store import State
from cspine.node.store.audit import Entry, first_broken, read_trail, record
from cspine.node.store.queue import requeue
from cspine.node.store.verdicts import KeptVerdict, Verdict, put_verdict, read_verdicts
from cspine.node.store.worklist import Filter, Listed, Order, listed, worklist
from cspine.node.web.guard import FRAMED_POLICY, failure, needs
from cspine.node.web.markup import asset
from cspine.node.web.rows import duration, level_cells, moment_text, worklist_row
from cspine.node.web.services import Services, services_of, visitor_of
from cspine.node.web.templating import MASK_COOKIE, fragment, is_masked, page
from cspine.node.web.texts import field, key_of
from cspine.node.web.visitors import Permission

_MOST_ROWS, _MOST_ENTRIES, _LONGEST = 500, 500, 10_000
_DAYS = {"": None, "1": 1.0, "7": 7.0}
_WORDS = {"agree": True, "disagree": False}
_SHOWN = tuple(state for state in State if state is not State.SUPERSEDED)


@needs(Permission.READ)
async def worklist_page(request: Request) -> Response:
    """Shows the worklist; the script of the page keeps it true."""
    return page(request, "worklist.html", await _rows(request, Filter(most=_MOST_ROWS)) | {"states": _SHOWN})


@needs(Permission.READ)
async def worklist_rows(request: Request) -> Response:
    """Returns the rows that a person filters for; what is searched stands in no address, so that no log keeps it."""
    form = await request.form(max_fields=20)
    try:
        wanted = Filter(
            states=(State(field(form, "state", 20)),) if field(form, "state", 20) else (),
            site=field(form, "site", 64) or None,
            text=field(form, "text", 100),
            acknowledged=False if field(form, "unread", 1) else None,
            days=_DAYS[field(form, "days", 3)],
            order=Order(field(form, "order", 20) or Order.RANK),
            most=_MOST_ROWS,
        )
    except (ValueError, KeyError):
        return failure(request, 400, "A filter needs a state, days and an order that exist. Load the page again.")
    return fragment("rows.html", await _rows(request, wanted))


async def _rows(request: Request, wanted: Filter) -> dict[str, Any]:
    services = services_of(request)
    shown = await run_in_threadpool(services.board.show, wanted, masked=is_masked(request))
    free = services.folders.free_gb() if services.folders.data.is_dir() else 0.0
    return {
        "body": shown.body,
        "count": shown.count,
        "sites": shown.sites,
        "cut": shown.count == _MOST_ROWS,
        "full": free < services.config.keep.free_gb,
        "free_gb": round(free, 1),
    }


@needs(Permission.READ)
async def study_page(request: Request) -> Response:
    """Shows one study: its page in a frame, what is known of it, the form for a verdict."""
    services, visitor = services_of(request), visitor_of(request)
    row = await run_in_threadpool(listed, services.store, key_of(request))
    if row is None:
        return failure(request, 404, "There is no such study. It may have been removed after its time.")
    verdicts = () if row.result is None else await run_in_threadpool(read_verdicts, services.store, row.result.key)
    await run_in_threadpool(record, services.store, Entry(_name(request), "read", row.key))
    context = {
        "row": worklist_row(row, masked=is_masked(request)),
        "waited": duration(services.store.clock() - row.received_at),
        "levels": () if row.result is None or row.result.state is not State.DONE else level_cells(row.result),
        "has_page": services.result_file(row, "result.html") is not None,
        "may_give_verdict": visitor.may(Permission.GIVE_VERDICT) and row.result is not None and row.result.key == row.key,
        "may_requeue": visitor.may(Permission.REQUEUE),
        "verdicts": [_said(kept, row) for kept in verdicts],
        "own": next((kept.verdict for kept in verdicts if kept.verdict.reader == _name(request)), None),
        "package": "" if row.result is None else f"{row.result.package} {row.result.package_version}".strip(),
        "viewer": _viewer(services, row),
    }
    return page(request, "study.html", context)


@needs(Permission.READ)
async def framed_page(request: Request) -> Response:
    """Returns the page of a result as it was written, to be shown in a frame that reaches nothing of the node."""
    services = services_of(request)
    row = await run_in_threadpool(listed, services.store, key_of(request))
    path = None if row is None else services.result_file(row, "result.html")
    if row is None or path is None:
        return failure(request, 404, "There is no page of this study.")
    await run_in_threadpool(record, services.store, Entry(_name(request), "read", row.key, path.name))
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": FRAMED_POLICY})


@needs(Permission.GIVE_VERDICT)
async def give_verdict(request: Request) -> Response:
    """Keeps what a reader says in the form of a study."""
    services, key = services_of(request), key_of(request)
    form = await request.form(max_fields=40)
    row = await run_in_threadpool(listed, services.store, key)
    if row is None or row.result is None:
        return failure(request, 404, "There is no result of this study.")
    said = {cell.name: _fractured(field(form, cell.name, 20), cell.positive) for cell in level_cells(row.result)}
    levels = {name: value for name, value in said.items() if value is not None}
    try:
        verdict = Verdict(key, _name(request), levels, field(form, "comment", _LONGEST))
        await run_in_threadpool(put_verdict, services.store, verdict)
    except UsageError as error:
        return failure(request, 409, str(error))
    following = await run_in_threadpool(_next_unread, services, row)
    there = f"/studies/{following}" if field(form, "then", 10) == "next" and following else f"/studies/{key}"
    return RedirectResponse(there, 303)


@needs(Permission.REQUEUE)
async def queue_again(request: Request) -> Response:
    """Queues a failed or ignored study once more."""
    services, key = services_of(request), key_of(request)
    done = await run_in_threadpool(requeue, services.store, key)
    if not done:
        return failure(
            request, 409, "Only the newest version of a failed or ignored study can be queued, while its images are kept."
        )
    await run_in_threadpool(record, services.store, Entry(_name(request), "requeue", key))
    return RedirectResponse(f"/studies/{key}", 303)


@needs(Permission.READ)
async def mask(request: Request) -> Response:
    """Hides patients on this screen, or shows them again."""
    response = RedirectResponse("/", 303)
    value = "0" if is_masked(request) else "1"
    response.set_cookie(MASK_COOKIE, value, max_age=30 * 86400, httponly=True, samesite="lax")
    return response


@needs(Permission.ADMINISTER)
async def trail_page(request: Request) -> Response:
    """Shows the end of the audit trail, and whether it is whole."""
    store = services_of(request).store
    entries = await run_in_threadpool(read_trail, store, _MOST_ENTRIES)
    broken = await run_in_threadpool(first_broken, store)
    return page(request, "trail.html", {"entries": [(kept, moment_text(kept.at)) for kept in entries], "broken": broken})


async def static_file(request: Request) -> Response:
    """Returns a style sheet or script of ours."""
    found = asset(request.path_params["name"])
    if found is None:
        return failure(request, 404, "There is no such file.")
    return Response(found[0], media_type=found[1], headers={"cache-control": "public, max-age=31536000, immutable"})


def _name(request: Request) -> str:
    user = visitor_of(request).user
    return "" if user is None else user.name


def _fractured(said: str, flagged: bool | None) -> bool | None:
    """Returns whether a reader holds a level for fractured, who agrees or not with what was flagged, or says it outright."""
    if said in _WORDS and flagged is not None:
        return flagged is _WORDS[said]
    return {"fractured": True, "intact": False}.get(said)


def _said(kept: KeptVerdict, row: Listed) -> dict[str, Any]:
    """Returns a verdict in words: where the reader disagrees, and what was said of levels that were not assessed."""
    flags = {cell.name: cell.positive for cell in level_cells(row.result)} if row.result is not None else {}
    words = []
    for name, fractured in sorted(kept.verdict.levels.items()):
        agrees = flags.get(name) is fractured
        words.append({"name": name, "agrees": agrees, "text": "fractured" if fractured else "intact"})
    return {
        "reader": kept.verdict.reader,
        "at": moment_text(kept.created_at),
        "levels": words,
        "comment": kept.verdict.comment,
        "package": f"{kept.package} {kept.package_version}".strip(),
        "version": kept.version,
    }


def _next_unread(services: Services, row: Listed) -> str | None:
    """Returns the next study on the list that nobody has read."""
    rest = worklist(services.store, Filter(states=(State.DONE, State.REJECTED), acknowledged=False, most=2))
    return next((other.key for other in rest if other.key != row.key), None)


def _viewer(services: Services, row: Listed) -> str:
    """Returns the address of a study in the site's own viewer; empty where none is configured."""
    return services.config.node.viewer.replace("{study}", row.study_uid).replace("{series}", row.series_uid)
