"""Writes the pictures of docs/how-to/work-with-the-worklist.md: a node with eight studies, as a headless Chromium shows it."""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.browser import Browser, BrowserError, chromium
from benchmarks.screenshots import studies
from cspine.detection import Detector
from cspine.evidence import Prediction
from cspine.node.addresses import Address
from cspine.node.config import Config, NodeSettings
from cspine.node.receiving.spool import Folders
from cspine.node.store import State, Store, open_store
from cspine.node.store.arrivals import enqueue
from cspine.node.store.nouns import Arrival, Finished, Patient, Snapshot
from cspine.node.store.queue import claim, finish
from cspine.node.store.verdicts import Verdict, put_verdict
from cspine.node.web.app import serve
from cspine.reporting import write_result
from cspine.study import Study

_PORT = 18480
_BASE = f"http://127.0.0.1:{_PORT}"
_KEY = "{:032d}"
_PATIENCE_S = 120.0
_SITES = ("Emergency", "Ward 3", "Outpatients")


@dataclass(frozen=True, slots=True)
class View:
    """A picture of a page of the node.

    Attributes:
        name: Its file, without the ending.
        path: Of the page.
        width: Of the window.
        height: Of the window.
        dark: Which colours the system prefers.
    """

    name: str
    path: str
    width: int = 1280
    height: int = 760
    dark: bool = False


VIEWS = (
    View("worklist", "/"),
    View("worklist-dark", "/", dark=True),
    View("worklist-study", f"/studies/{_KEY.format(1)}", 1440, 900, dark=True),
    View("worklist-phone", "/", 390, 844),
    View("worklist-study-phone", f"/studies/{_KEY.format(1)}", 390, 844, dark=True),
)


def fill(store: Store, folders: Folders, results: list[tuple[Prediction, Study]]) -> None:
    """Has eight invented series come in and be assessed; the last one still waits."""
    for number in range(1, 9):
        prediction, study = results[(number - 1) % len(results)]
        patient = Patient(f"Example^Number {number}", f"P{number:04d}", accession=f"A{number:04d}", study_description="CT neck")
        arrival = Arrival(f"1.2.{number}", f"1.9.{number}", "CT1", _SITES[number % 3], "Phantom", "bone", patient)
        key = _KEY.format(number)
        enqueue(store, arrival, lambda key=key, study=study: Snapshot(key, key, study.volume.grid.shape[0]))  # type: ignore[misc]
        if number == 8:
            continue
        folder = folders.results / key
        folder.mkdir(parents=True)
        write_result(prediction, study, folder, ["json", "html"])
        claimed = claim(store, "worker", 60.0, 5)
        if claimed is not None:
            finish(store, claimed, _finished(prediction))
    put_verdict(store, Verdict(_KEY.format(2), "ada", {f"C{number}": False for number in range(1, 8)}))


def _finished(prediction: Prediction) -> Finished:
    result, overall = prediction.result, prediction.result.overall
    name, version = result.model.name, result.model.version
    if overall is None:
        why = result.reasons[0]
        return Finished(State.REJECTED, code=why.code, reason=why.text, package=name, package_version=version)
    keys = ("level", "status", "probability", "positive")
    levels = tuple({key: level[key] for key in keys} for level in result.to_dict()["levels"])
    numbers = (overall.probability, overall.low, overall.high, overall.threshold, overall.positive)
    return Finished(State.DONE, *numbers, levels, package=name, package_version=version)


@contextmanager
def running(data: Path, clock: list[float], results: list[tuple[Prediction, Study]]) -> Iterator[None]:
    """Serves a node of its own while the context is open."""
    store, config = (
        open_store("sqlite", data, lambda: clock[0]),
        Config(node=NodeSettings(web=Address("127.0.0.1", _PORT), data=data)),
    )
    fill(store, Folders(data), results)
    clock[0] += 34 * 60
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=(config, store, stop))
    thread.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        stop.set()
        thread.join()
        store.close()


def shoot(browser: Browser, view: View, out: Path) -> None:
    """Takes one picture, and keeps it small."""
    browser.open(_BASE + view.path, view.width, view.height, dark=view.dark)
    _wait(browser, view)
    if browser.console:
        raise RuntimeError(f"{view.path} complained: {browser.console}")
    path = out / f"{view.name}.webp"
    browser.screenshot(path, whole=False)
    Image.open(path).convert("RGB").save(path, quality=82)
    print(path.name, f"{path.stat().st_size / 1000:.0f} kB")


def _wait(browser: Browser, view: View) -> None:
    """Waits until a list is live, or the slices of a study stand in its frame."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        with suppress(BrowserError):  # the frame may not be there yet
            if view.path == "/" and browser.evaluate("document.getElementById('live').dataset.state === 'on'"):
                return
            if view.path != "/" and browser.evaluate_in_frame("/page", "document.documentElement.dataset.viewer"):
                return
        time.sleep(0.2)
    raise RuntimeError(f"{view.path} was not there within {_PATIENCE_S:g} s.")


def main() -> None:
    """Runs the one command that takes all pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worklist_screenshots", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the pictures")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=[view.name for view in VIEWS], help="take these pictures alone"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR", help="the real scans")
    options = parser.parse_args()
    program = chromium()
    if program is None:
        parser.error("pictures of pages need Chromium; there is none on this machine")
    options.out.mkdir(parents=True, exist_ok=True)
    detector = Detector()
    results = [(detector.predict(study), study) for study in studies(options.data)]
    with (
        tempfile.TemporaryDirectory() as scratch,
        Browser(program) as browser,
        running(Path(scratch) / "node", [time.time()], results),
    ):
        for view in VIEWS:
            if options.only is None or view.name in options.only:
                shoot(browser, view, options.out)


if __name__ == "__main__":
    main()
