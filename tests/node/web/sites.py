"""Nodes with a few studies, as the web process sees them."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from starlette.testclient import TestClient

from benchmarks.browser import BrowserError
from cspine.node.addresses import Address
from cspine.node.config import Config, LoginSettings, NodeSettings
from cspine.node.receiving.spool import Folders
from cspine.node.store import Role, State, Store
from cspine.node.store.arrivals import enqueue
from cspine.node.store.nouns import Arrival, Finished, Patient, Snapshot
from cspine.node.store.queue import finish
from cspine.node.store.users import put_token, put_user
from cspine.node.web.app import make_app, serve
from cspine.node.web.services import Services
from tests.made_results import result_text
from tests.node.nodes import free_port, until
from tests.node.series import take

PASSWORD = "correct horse battery"
LEVELS = tuple(
    {
        "level": f"C{number}",
        "status": "not_in_view" if number == 7 else "assessed",
        "probability": None if number == 7 else 0.9 if number == 4 else 0.02,
        "low": None,
        "high": None,
        "positive": None if number == 7 else number == 4,
    }
    for number in range(1, 8)
)
POSITIVE = Finished(
    *(State.DONE, 0.93, 0.4, 0.95, 0.5, True, LEVELS, None, None, ("gap", "trained_on_phantoms"), "blocks", "1.0"), {"read": 0.5}
)
NEGATIVE = replace(
    POSITIVE,
    probability=0.03,
    low=None,
    high=None,
    positive=False,
    levels=tuple(level | {"positive": False} for level in LEVELS[:6]),
)
REJECTED = Finished(
    State.REJECTED, code="no_neck", reason="A neck is needed. None is in view.", package="blocks", package_version="1.0"
)
FAILED = Finished(State.FAILED, code="pixels", reason="Pixels are needed. None came. Send the series again.")


@dataclass(frozen=True)
class Made:
    """A node.

    Attributes:
        config: Its configuration.
        store: Its store.
    """

    config: Config
    store: Store

    @property
    def base(self) -> str:
        """Returns the address of the node."""
        return f"http://{self.config.node.web}"

    def client(self, **headers: str) -> TestClient:
        """Returns a browser without a window, or a program."""
        app = make_app(Services(self.config, self.store))
        return TestClient(app, base_url=self.base, headers={"accept": "text/html", **headers}, follow_redirects=False)

    def program(self, name: str, role: Role = Role.API) -> TestClient:
        """Returns a program with a token."""
        token = put_token(self.store, name, role)
        return self.client(accept="application/json", authorization=f"Bearer {token}")

    def reader(self, name: str = "ada", role: Role = Role.READER) -> TestClient:
        """Returns a browser of somebody who has logged in."""
        put_user(self.store, name, role, PASSWORD)
        client = self.client()
        answer = client.post("/login", data={"csrf": csrf_of(client, "/login"), "name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    def assess(self, name: str, finished: Finished | None = POSITIVE, page: Path | None = None, **about: Any) -> str:
        """Returns a series that came in and was assessed; it still waits where nothing came of it."""
        patient = about.pop("patient", Patient(patient_name=f"Doe^{name}", patient_id=f"ID{name}", accession=f"ACC{name}"))
        images = about.pop("images", 10)
        arrival = Arrival(
            f"1.2.{name}", f"1.9.{name}", "CT1", **{"site": "ER", "scanner": "Maker X", "kernel": "B60"} | about, patient=patient
        )
        key = f"{int(name):016d}{images:016d}"
        enqueue(self.store, arrival, lambda: Snapshot(key, f"digest{images}", images))
        if finished is None:
            return key
        assert finish(self.store, take(self.store), finished)
        if finished.state in (State.DONE, State.REJECTED):
            folder = Folders(self.config.node.data).results / key
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").write_text(result_text(read=0.5), encoding="utf-8")
            (folder / "result_sr.dcm").write_bytes(b"DICM")
            if page is not None:
                shutil.copy(page, folder / "result.html")
        return key

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Yields the node at its address, as a process of its own would serve it."""
        stop = Event()
        thread = Thread(target=serve, args=(self.config, self.store, stop))
        thread.start()
        try:
            until(lambda: answers(self.config.node.web.port), "serving pages")
            yield self.base
        finally:
            stop.set()
            thread.join(400)
            assert not thread.is_alive()


def made(data: Path, store: Store, **login: Any) -> Made:
    """Returns a node whose data lie in a folder."""
    node = NodeSettings(data=data, web=Address("127.0.0.1", free_port()), viewer="https://pacs.example/view?study={study}")
    data.mkdir(parents=True, exist_ok=True)
    return Made(Config(node=node, login=LoginSettings(**login)), store)


def answers(port: int) -> bool:
    """Says whether anybody listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def csrf_of(client: TestClient, page: str = "/") -> str:
    """Returns what the forms of a page hold."""
    text = client.get(page).text
    return text.split('name="csrf" content="')[1].split('"')[0]


def awaited(reached: Callable[[], Any], within_s: float = 400.0) -> Any:
    """Waits for what a page shows; it may be on its way to another page meanwhile."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            found = reached()
        except BrowserError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("The page did not get there.")
