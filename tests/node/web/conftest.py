from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra serve: pip install 'cspine[serve]'")

from benchmarks.browser import Browser
from cspine.detection import Detector
from cspine.node.receiving.spool import Folders
from cspine.node.store import Store, open_store
from cspine.reporting.pages.study import study_page, to_html
from tests.coded import coded_volume, study_of
from tests.node.times import Clock
from tests.node.web.sites import Made, made


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a machine with a full disk run the tests."""
    monkeypatch.setattr(Folders, "free_gb", lambda _: 100.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """Yields a store of SQLite; what differs between databases is tested with the store."""
    opened = open_store("sqlite", tmp_path / "node", clock)
    yield opened
    opened.close()


@pytest.fixture
def node(tmp_path: Path, store: Store) -> Made:
    """Returns a node without a login, for this machine."""
    return made(tmp_path / "node", store)


@pytest.fixture
def guarded(tmp_path: Path, store: Store) -> Made:
    """Returns a node with a login."""
    return made(tmp_path / "node", store, required=True)


@pytest.fixture(scope="session")
def result_page(coded_package: Path, coded_localiser: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the page of a real result."""
    from cspine.anatomy import CERVICAL, Level

    study = study_of(coded_volume(CERVICAL[1:], fractured=[Level.C4]), "neck")
    prediction = Detector(coded_package, localiser=coded_localiser).predict(study)
    path = tmp_path_factory.mktemp("page") / "result.html"
    path.write_text(to_html(study_page(prediction, study)), encoding="utf-8")
    return path


@pytest.fixture
def fresh(browser: Browser) -> Browser:
    """Returns the browser without a cookie of an earlier test."""
    browser.call("Network.clearBrowserCookies")
    browser.open("about:blank")  # so that no page of an earlier test says anything more
    return browser
