"""Tells open pages that something has changed, as server-sent events; they then ask for what they show."""

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cspine.node.web.guard import needs
from cspine.node.web.services import services_of
from cspine.node.web.visitors import Permission, identify

_EVERY_S, _QUIET_TURNS, _CHECKED_TURNS = 1.0, 15, 30


@needs(Permission.READ)
async def events(request: Request) -> Response:
    """Sends ``change`` whenever the worklist is another one."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_changes(request), media_type="text/event-stream", headers=headers)


async def _changes(request: Request) -> AsyncIterator[str]:
    services, known, turn = services_of(request), "", 0
    yield "retry: 2000\n\n"
    while not services.stopping.is_set() and not await request.is_disconnected():
        latest = await run_in_threadpool(services.board.last_change)
        if latest != known:
            known = latest
            yield f"event: change\ndata: {latest}\n\n"
        elif turn % _QUIET_TURNS == 0:
            yield ": still here\n\n"  # so that proxies do not cut the line
        turn += 1
        if turn % _CHECKED_TURNS == 0:
            visitor = await run_in_threadpool(identify, request, services.config, services.store)
            if not visitor.may(Permission.READ):
                return
        await asyncio.sleep(_EVERY_S)
