"""Holds what every page and every answer is made of."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import HTTPConnection

from cspine.node.config import Config
from cspine.node.receiving.spool import Folders
from cspine.node.store import Store
from cspine.node.store.worklist import Listed
from cspine.node.web.attempts import LoginAttempts
from cspine.node.web.board import Board
from cspine.node.web.visitors import Visitor

RESULT_FILES = frozenset(
    {"result.json", "result.html", "result.png", "result_sr.dcm", "result_seg.dcm", "result_sc.dcm", "result_fhir.json"}
)
"""Files of a result that may be asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """Holds what the web process works with.

    Attributes:
        config: The configuration of the node.
        store: What the node knows.
        attempts: Slows down guessing of passwords.
        stopping: Set once the process shall end, so that streams end by themselves.
        board: Keeps the worklist as it was last shown.
    """

    config: Config
    store: Store
    attempts: LoginAttempts = field(default_factory=LoginAttempts)
    stopping: threading.Event = field(default_factory=threading.Event)
    board: Board = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "board", Board(self.store))

    @property
    def folders(self) -> Folders:
        """Returns where the node keeps its files."""
        return Folders(self.config.node.data)

    def result_file(self, row: Listed, name: str) -> Path | None:
        """Returns a file of the newest result of a series; ``None`` where there is none of this name.

        Args:
            row: The row of the worklist.
            name: One of :data:`RESULT_FILES`.
        """
        if row.result is None or row.result.erased or name not in RESULT_FILES:
            return None
        path = self.folders.results / row.result.key / name
        return path if path.is_file() else None


def services_of(connection: HTTPConnection) -> Services:
    """Returns what a request is answered with."""
    services: Services = connection.app.state.services
    return services


def visitor_of(connection: HTTPConnection) -> Visitor:
    """Returns who sent a request; the guard has found out."""
    visitor: Visitor = connection.state.visitor
    return visitor
