"""Measures what the page of a long worklist costs the web process, in processor time of all of its threads.

``python -m benchmarks.node.worklist --studies 200`` prints the figures as JSON.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cspine.node.store import open_store
from cspine.node.store.nouns import Patient
from cspine.node.store.queue import finish
from cspine.node.store.verdicts import Verdict, put_verdict
from cspine.node.web.app import make_app
from cspine.node.web.services import Services
from tests.node.series import arrive, parcels, take
from tests.node.web.sites import NEGATIVE, POSITIVE, Made, made

_ROUNDS, _EVERY_S = 15, 300.0
"""How often is measured; a study has come so often, as most rows of a list are older than what changes."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Holds processor milliseconds, each the median of some requests.

    Attributes:
        studies: Rows of the page.
        kilobytes: Size of the page.
        first: The first page of a process.
        changed: A page after one row changed.
        unchanged: A page after nothing was written.
    """

    studies: int
    kilobytes: float
    first: float
    changed: float
    unchanged: float


def measure(studies: int, folder: Path) -> Cost:
    """Fills a node with studies and asks for its list."""
    back_s = [_EVERY_S * studies]
    store = open_store("sqlite", folder, lambda: time.time() - back_s[0])
    node = made(folder, store)
    keys, changed = [], []
    for number in range(1, studies + 1):
        keys.append(_assessed(node, number))
        back_s[0] = _EVERY_S * (studies - number)
    with asyncio.Runner() as runner:
        first = [Web(node, runner).page() for _ in range(3)]
        web = Web(node, runner)
        web.page()
        unchanged = [web.page() for _ in range(_ROUNDS)]
        for key in keys[:_ROUNDS]:
            put_verdict(store, Verdict(key, "ada", {"C1": False}))
            changed.append(web.page())
    store.close()
    return Cost(studies, round(web.bytes / 1000, 1), *(round(statistics.median(costs), 1) for costs in (first, changed, unchanged)))


class Web:
    """A web process without a network: what is measured is the application alone."""

    def __init__(self, node: Made, runner: asyncio.Runner) -> None:
        self._app, self._runner = make_app(Services(node.config, node.store)), runner
        self._host = str(node.config.node.web).encode()
        self.bytes = 0

    def page(self) -> float:
        """Returns the processor milliseconds of one page."""
        begin = time.process_time()
        self._runner.run(self._ask())
        return 1000 * (time.process_time() - begin)

    async def _ask(self) -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "scheme": "http",
        }
        scope |= {"headers": [(b"host", self._host), (b"accept", b"text/html")], "client": ("127.0.0.1", 1), "http_version": "1.1"}
        statuses, self.bytes = [], 0

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 200))
            self.bytes += len(message.get("body", b""))

        await self._app(scope, receive, send)
        if set(statuses) != {200}:
            raise RuntimeError(f"The page was not given: {statuses}")


def _assessed(node: Made, number: int) -> str:
    patient = Patient(f"Doe^{number}", f"ID{number}", accession=f"ACC{number}", study_description="CT cervical spine")
    arrive(node.store, str(number), patient=patient)
    claimed = take(node.store)
    finish(node.store, claimed, POSITIVE if number % 5 == 0 else NEGATIVE, parcels(str(number)))
    return claimed.key


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(asdict(measure(options.studies, Path(name))), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
