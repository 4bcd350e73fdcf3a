"""Puts the routes together and serves them."""

import logging
import socket
import ssl
import threading
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cspine.errors import CspineError, UsageError
from cspine.node.config import Config
from cspine.node.store import Store
from cspine.node.web import exports, login, monitoring, pages, rest
from cspine.node.web.events import events
from cspine.node.web.guard import Guard, failure
from cspine.node.web.metrics import metrics
from cspine.node.web.services import Services
from cspine.node.web.uploads import clear_abandoned

_STOP_S, _KEEP_ALIVE_S, _POLL_S = 2, 30, 0.2
_BACKLOG = 128

_log = logging.getLogger(__name__)

ROUTES = (
    Route("/", pages.worklist_page, methods=["GET"]),
    Route("/rows", pages.worklist_rows, methods=["POST"]),
    Route("/events", events, methods=["GET"]),
    Route("/login", login.login_page, methods=["GET"]),
    Route("/login", login.log_in, methods=["POST"]),
    Route("/logout", login.log_out, methods=["POST"]),
    Route("/mask", pages.mask, methods=["POST"]),
    Route("/monitoring", monitoring.monitoring_page, methods=["GET"]),
    Route("/trail", pages.trail_page, methods=["GET"]),
    Route("/verdicts.csv", exports.export_verdicts, methods=["GET"]),
    Route("/labels.csv", exports.export_labels, methods=["GET"]),
    Route("/static/{name}", pages.static_file, methods=["GET"]),
    Route("/studies/{key}", pages.study_page, methods=["GET"]),
    Route("/studies/{key}/page", pages.framed_page, methods=["GET"]),
    Route("/studies/{key}/verdict", pages.give_verdict, methods=["POST"]),
    Route("/studies/{key}/requeue", pages.queue_again, methods=["POST"]),
)
"""What people use."""

REST_ROUTES = (
    Route("/studies", rest.send_studies, methods=["POST"]),
    Route("/jobs/{key}", rest.get_job, methods=["GET"]),
    Route("/jobs/{key}/result", rest.get_result, methods=["GET"]),
    Route("/jobs/{key}/objects", rest.get_objects, methods=["GET"]),
    Route("/jobs/{key}/objects/{name}", rest.get_object, methods=["GET"]),
    Route("/jobs/{key}/verdict", rest.post_verdict, methods=["POST"]),
    Route("/jobs/{key}/requeue", rest.post_requeue, methods=["POST"]),
    Route("/healthz", rest.healthz, methods=["GET"]),
    Route("/readyz", rest.readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
    Route("/openapi.json", rest.get_openapi, methods=["GET"]),
)
"""What programs use; ``openapi.json`` describes each."""


def make_app(services: Services) -> Guard:
    """Returns the application; the guard stands around all of it, so that answers to faults have its headers too."""
    app = Starlette(routes=[*ROUTES, *REST_ROUTES], exception_handlers={HTTPException: _told, Exception: _fault})
    app.state.services = services
    return Guard(app, services)


def serve(config: Config, store: Store, stop: threading.Event) -> None:
    """Serves until it shall stop.

    Raises:
        UsageError: The address cannot be listened at.
    """
    services = Services(config, store)
    clear_abandoned(services)
    listening = _listening(config)
    server = make_server(services)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="cspine-web", daemon=True)
    thread.start()
    _log.info("pages at port %d", listening.getsockname()[1])
    while thread.is_alive() and not stop.wait(_POLL_S):
        pass
    services.stopping.set()
    server.should_exit = True
    thread.join(3 * _STOP_S)
    listening.close()
    if not stop.is_set():
        raise CspineError("The web server ended by itself.")


def _listening(config: Config) -> socket.socket:
    address = config.node.web
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"node.web needs an address that is free. {address} says: {reason}. Choose another one.") from error


def make_server(services: Services) -> uvicorn.Server:
    """Returns a server of the application, which serves until ``should_exit`` is set.

    No request is logged: addresses of pages name jobs only, but what stands in a log should be decided in one place.
    """
    tls: dict[str, Any] = {}
    config = services.config
    if config.tls is not None:
        tls = {"ssl_certfile": str(config.tls.certificate), "ssl_keyfile": str(config.tls.key)}
    settings = uvicorn.Config(
        make_app(services),
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # who a proxy speaks for is decided by the configuration, not by a header
        timeout_graceful_shutdown=_STOP_S,
        timeout_keep_alive=_KEEP_ALIVE_S,
        lifespan="off",
        **tls,
    )
    settings.load()
    if settings.ssl is not None:
        settings.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return uvicorn.Server(settings)


async def _told(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    texts = {404: "There is no such page.", 405: "This address takes no such request."}
    return failure(request, status, texts.get(status, "This request cannot be answered."))


async def _fault(request: Request, error: Exception) -> Response:  # noqa: ARG001  # its text may quote an image
    return failure(request, 500, "A fault of cspine. The log of the node says where it happened.")
