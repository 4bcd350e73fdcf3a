"""Stands before every route: which hosts are answered, who asks, whether a form is ours, which headers every answer has."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cspine.node.config import Config
from cspine.node.web.services import Services, visitor_of
from cspine.node.web.templating import page
from cspine.node.web.visitors import COOKIE, Permission, Visitor, identify

Handler = Callable[[Request], Awaitable[Response]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FRAMED_POLICY = "sandbox allow-scripts; frame-ancestors 'self'"
"""Of the page of a study: it runs its own scripts, which its own policy names, and reaches nothing of the node."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, browsers hide the origin of our own forms too
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Guard:
    """The outermost layer of the application.

    Attributes:
        app: What is guarded.
        services: What it answers with.
    """

    app: ASGIApp
    services: Services

    @property
    def config(self) -> Config:
        """Returns the configuration of the node."""
        return self.services.config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or hands it on with its visitor."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        refused = self._refusal(connection, scope["method"])
        if refused is not None:
            await refused(scope, receive, self._with_headers(send, None))
            return
        visitor = await run_in_threadpool(identify, connection, self.config, self.services.store)
        scope.setdefault("state", {})["visitor"] = visitor
        await self.app(scope, receive, self._with_headers(send, visitor))

    def _refusal(self, connection: HTTPConnection, method: str) -> Response | None:
        """Refuses foreign host names, by which a page elsewhere could reach this machine, and forms of other sites."""
        try:
            host = urlsplit(f"//{connection.headers.get('host', '')}")
            name, _ = host.hostname, host.port
        except ValueError:
            return PlainTextResponse("The header Host is damaged.", 400)
        if not self.config.login.required and name not in _LOOPBACK_NAMES | {self.config.node.web.host}:
            return PlainTextResponse("This node answers to localhost only, as it requires no login.", 421)
        if method in _UNSAFE and _is_foreign(connection, host.netloc):
            return PlainTextResponse("A form of another site is not taken.", 403)
        return None

    def _with_headers(self, send: Send, visitor: Visitor | None) -> Send:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self.config.tls is not None:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                if visitor is not None and visitor.is_new and not visitor.by_token and "set-cookie" not in headers:
                    headers.append("set-cookie", cookie(self.config, visitor.secret))
            await send(message)

        return send_on


def cookie(config: Config, secret: str) -> str:
    """Returns the header that sets the cookie of a visitor: other sites and scripts do not get it, plain HTTP only without TLS."""
    # behind a proxy the node itself may speak plain HTTP, but the browser does not
    secure = "; Secure" if config.tls is not None or config.login.proxies else ""
    age = int(config.login.hours * 3600)
    return f"{COOKIE}={secret}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"


def _is_foreign(connection: HTTPConnection, host: str) -> bool:
    """Says whether a browser states that another site sends this; programs state nothing."""
    site = connection.headers.get("sec-fetch-site", "same-origin")
    origin = connection.headers.get("origin")
    return site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc != host)


def needs(permission: Permission) -> Callable[[Handler], Handler]:
    """Lets a route answer only to visitors who may do something, and forms only if they are ours."""

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        async def guarded(request: Request) -> Response:
            visitor = visitor_of(request)
            if not visitor.may(permission):
                return _refused(request, visitor, permission)
            if request.method in _UNSAFE and not visitor.by_token and not await is_own(request, visitor):
                return failure(request, 403, "The form is too old, or of another site. Load the page again.")
            return await handler(request)

        return guarded

    return wrap


async def is_own(request: Request, visitor: Visitor) -> bool:
    """Says whether a form, or the header of a script, holds what only our pages know."""
    token = request.headers.get("x-csrf-token")
    if token is None and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = await request.form(max_fields=100)
        field = form.get("csrf")
        token = field if isinstance(field, str) else None
    return visitor.is_own_form(token)


def wants_page(request: Request) -> bool:
    """Says whether a person asks with a browser, and no program."""
    return "text/html" in request.headers.get("accept", "")


def failure(request: Request, status: int, text: str) -> Response:
    """Returns what went wrong, for a person or a program."""
    if wants_page(request):
        return page(request, "failure.html", {"text": text}, status)
    return JSONResponse({"error": text}, status)


def _refused(request: Request, visitor: Visitor, permission: Permission) -> Response:
    if visitor.user is not None:
        return failure(request, 403, f"{visitor.user.name} may not {permission}. Ask an administrator of this node.")
    if wants_page(request) and request.method == "GET":
        return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
    response = failure(request, 401, "A login or a token is needed. Send Authorization: Bearer TOKEN, or log in.")
    response.headers["www-authenticate"] = "Bearer"
    return response
