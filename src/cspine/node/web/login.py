"""Lets people in and out: a name and a password, and a session in a cookie."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cspine.node.store.audit import Entry, record
from cspine.node.store.sessions import begin_session, end_session
from cspine.node.store.users import user_by_password
from cspine.node.web.guard import cookie, failure, is_own
from cspine.node.web.services import services_of, visitor_of
from cspine.node.web.templating import page
from cspine.node.web.texts import field

_WRONG = "The name or the password is wrong."
_LONGEST = 1024


async def login_page(request: Request) -> Response:
    """Shows the form."""
    if visitor_of(request).user is not None:
        return RedirectResponse("/", 303)
    return page(request, "login.html", {"wrong": "", "next": _place(request.query_params.get("next"))})


async def log_in(request: Request) -> Response:
    """Takes a name and a password."""
    services, visitor = services_of(request), visitor_of(request)
    if not await is_own(request, visitor):
        return failure(request, 403, "The form is too old, or of another site. Load the page again.")
    form = await request.form(max_fields=10)
    name, password = field(form, "name", 64), str(form.get("password", ""))[:_LONGEST]
    there = _place(field(form, "next", 200))
    keys = (f"name {name}", f"address {request.client.host if request.client else ''}")
    pause = services.attempts.pause_s(*keys)
    if pause > 0:
        text = f"Too many wrong passwords. Wait {pause:.0f} seconds, then try again."
        return page(request, "login.html", {"wrong": text, "next": there}, 429)
    user = await run_in_threadpool(user_by_password, services.store, name, password)
    if user is None:
        services.attempts.wrong(*keys)
        await run_in_threadpool(record, services.store, Entry("nobody", "login refused", detail=name))
        return page(request, "login.html", {"wrong": _WRONG, "next": there}, 401)
    services.attempts.right(*keys)
    token = await run_in_threadpool(begin_session, services.store, user.name, services.config.login.hours)
    await run_in_threadpool(record, services.store, Entry(user.name, "login"))
    response = RedirectResponse(there, 303)
    response.headers.append("set-cookie", cookie(services.config, token))  # a new one: nobody can have planted it
    return response


async def log_out(request: Request) -> Response:
    """Ends the session."""
    services, visitor = services_of(request), visitor_of(request)
    if not await is_own(request, visitor):
        return failure(request, 403, "The form is too old, or of another site. Load the page again.")
    if visitor.user is not None:
        await run_in_threadpool(end_session, services.store, visitor.secret)
        await run_in_threadpool(record, services.store, Entry(visitor.user.name, "logout"))
    response = RedirectResponse("/login", 303)
    response.delete_cookie("cspine", httponly=True, samesite="lax")
    return response


def _place(asked: str | None) -> str:
    """Returns a page of ours to go to, whatever was asked for."""
    if not asked or not asked.startswith("/") or asked.startswith(("//", "/\\")) or not asked.isprintable():
        return "/"
    return asked
