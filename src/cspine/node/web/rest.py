"""The interface for programs; ``openapi.json`` describes it."""

import json
from importlib.resources import files
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from cspine.errors import UsageError
from cspine.node.store.audit import Entry, record
from cspine.node.store.queue import requeue
from cspine.node.store.verdicts import Verdict, put_verdict, read_verdicts
from cspine.node.store.worklist import Listed, last_change, listed, listed_by_number
from cspine.node.web.guard import failure, needs
from cspine.node.web.rows import moment_text
from cspine.node.web.services import RESULT_FILES, services_of, visitor_of
from cspine.node.web.texts import key_of, plain
from cspine.node.web.uploads import FullError, check_room, queue_zip, receive
from cspine.node.web.visitors import Permission
from cspine.storage.strict_json import parse_json

_MEDIA = {".json": "application/json", ".html": "text/html", ".png": "image/png", ".dcm": "application/dicom"}
_LONGEST_BODY = 64_000
_NO_JOB = "There is no such job. It may have been removed after its time."


@needs(Permission.SEND)
async def send_studies(request: Request) -> Response:
    """Takes a zip of images."""
    services, name = services_of(request), _name(request)
    try:
        await run_in_threadpool(check_room, services)
        path = await receive(services, request.stream())
        numbers = await run_in_threadpool(queue_zip, services, path, name)
    except FullError as error:
        return failure(request, 507, str(error))
    except UsageError as error:
        return failure(request, 400, str(error))
    rows = [await run_in_threadpool(listed_by_number, services.store, number) for number in numbers]
    jobs = [row.key for row in rows if row is not None]
    await run_in_threadpool(record, services.store, Entry(name, "upload", detail=f"{len(jobs)} jobs"))
    return JSONResponse({"jobs": [{"id": key, "url": f"/jobs/{key}"} for key in jobs]}, 202)


@needs(Permission.READ)
async def get_job(request: Request) -> Response:
    """Returns what is known of a job, apart from the patient."""
    row = await _row(request)
    return failure(request, 404, _NO_JOB) if row is None else JSONResponse(_job(row))


@needs(Permission.READ)
async def get_result(request: Request) -> Response:
    """Returns ``result.json``."""
    return await _file(request, "result.json")


@needs(Permission.READ)
async def get_objects(request: Request) -> Response:
    """Lists the files of a result."""
    row = await _row(request)
    if row is None or row.result is None:
        return failure(request, 404, _NO_JOB if row is None else "There is no result of this job yet.")
    services = services_of(request)
    names = [name for name in sorted(RESULT_FILES) if services.result_file(row, name) is not None]
    return JSONResponse({"objects": [{"name": name, "url": f"/jobs/{row.key}/objects/{name}"} for name in names]})


@needs(Permission.READ)
async def get_object(request: Request) -> Response:
    """Returns a file of a result; pages are shown in a frame only, so that they are sent as a download."""
    return await _file(request, request.path_params["name"], attached=True)


@needs(Permission.GIVE_VERDICT)
async def post_verdict(request: Request) -> Response:
    """Keeps a verdict."""
    services, key = services_of(request), key_of(request)
    body = await _short_body(request)
    if await _row(request) is None:
        return failure(request, 404, _NO_JOB)
    try:
        verdict = _verdict(key, _name(request), body)
        await run_in_threadpool(put_verdict, services.store, verdict)
    except ValueError:
        return failure(request, 400, 'A verdict needs JSON as {"levels": {"C2": true}, "comment": ""}. Correct it.')
    except UsageError as error:
        return failure(request, 409 if "superseded" in str(error) else 400, str(error))
    kept = await run_in_threadpool(read_verdicts, services.store, key)
    return JSONResponse({"verdicts": len(kept)}, 201)


@needs(Permission.REQUEUE)
async def post_requeue(request: Request) -> Response:
    """Queues a failed or ignored job once more."""
    services, key = services_of(request), key_of(request)
    if await _row(request) is None:
        return failure(request, 404, _NO_JOB)
    if not await run_in_threadpool(requeue, services.store, key):
        return failure(
            request, 409, "Only the newest version of a failed or ignored study can be queued, while its images are kept."
        )
    await run_in_threadpool(record, services.store, Entry(_name(request), "requeue", key))
    return JSONResponse({"id": key, "url": f"/jobs/{key}"}, 202)


async def healthz(request: Request) -> Response:  # noqa: ARG001  # every route is given the request
    """Says that the process answers."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """Says whether the store answers and images may come in."""
    services = services_of(request)
    try:
        await run_in_threadpool(last_change, services.store)
        await run_in_threadpool(check_room, services)
    except Exception:  # whatever it is, this node is not ready
        return PlainTextResponse("not ready", 503)
    return PlainTextResponse("ready")


async def get_openapi(request: Request) -> Response:  # noqa: ARG001  # as above
    """Returns the description of this interface."""
    return JSONResponse(openapi())


def openapi() -> dict[str, Any]:
    """Returns the description of the interface, OpenAPI 3.1."""
    described: dict[str, Any] = json.loads(files("cspine.node.web").joinpath("openapi.json").read_text(encoding="utf-8"))
    return described


async def _short_body(request: Request) -> bytes:
    """Returns what came, cut where it is longer than any verdict: that is no JSON any more."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            return b""
    return body


async def _row(request: Request) -> Listed | None:
    return await run_in_threadpool(listed, services_of(request).store, key_of(request))


async def _file(request: Request, name: str, *, attached: bool = False) -> Response:
    row = await _row(request)
    if row is None:
        return failure(request, 404, _NO_JOB)
    if row.result is not None and row.result.erased:
        return failure(request, 410, "This result was removed after its time. Send the series again.")
    path = services_of(request).result_file(row, name)
    if path is None:
        return failure(request, 404, f"There is no {name} of this job." if name in RESULT_FILES else "There is no such file.")
    await run_in_threadpool(record, services_of(request).store, Entry(_name(request), "read", row.key, name))
    return FileResponse(path, media_type=_MEDIA[path.suffix], filename=name if attached else None)


def _job(row: Listed) -> dict[str, Any]:
    result = row.result
    return {
        "id": row.key,
        "version": row.version,
        "state": row.state.value,
        "code": row.code,
        "reason": row.reason,
        "attempts": row.attempts,
        "images": row.images,
        "study_uid": row.study_uid,
        "series_uid": row.series_uid,
        "source": row.source,
        "site": row.site,
        "received": moment_text(row.received_at),
        "changed": moment_text(row.changed_at),
        "deliveries": {name: {state.value: number for state, number in states.items()} for name, states in row.deliveries.items()},
        "readers": list(row.readers),
        "result": None
        if result is None
        else {
            "version": result.version,
            "state": result.state.value,
            "probability": result.probability,
            "threshold": result.threshold,
            "positive": result.positive,
            "warnings": list(result.warnings),
            "package": result.package,
            "package_version": result.package_version,
            "finished": moment_text(result.finished_at),
        },
    }


def _verdict(key: str, reader: str, body: bytes) -> Verdict:
    """Reads a verdict.

    Raises:
        ValueError: It is not in the form that is needed.
        UsageError: It says what cannot be said.
    """
    given = parse_json(body)
    if not isinstance(given, dict) or set(given) - {"levels", "comment"} or not isinstance(given.get("levels"), dict):
        raise ValueError("no verdict")
    comment = given.get("comment", "")
    if not isinstance(comment, str):
        raise ValueError("no comment")  # noqa: TRY004  # one answer for all that is wrong
    return Verdict(key, reader, given["levels"], plain(comment, len(comment)))


def _name(request: Request) -> str:
    user = visitor_of(request).user
    return "" if user is None else user.name
