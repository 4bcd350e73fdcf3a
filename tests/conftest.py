"""Fixtures that all tests share."""

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.browser import Browser, chromium

settings.register_profile("unhurried", deadline=None)  # a busy machine is no fault of a test
settings.load_profile("unhurried")

_TESTS = Path(__file__).parent
_LONG = ("cli", "conformance", "training", "networks", "node", "phantoms")
"""Rooms whose files take longest."""

_SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


gc.disable()  # what is collected stays; to look through it for garbage again and again takes seconds


def pytest_collection_finish() -> None:
    """Leaves all that was collected out of the search for garbage, which begins now."""
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has the files that take longest come first: one that comes last keeps all processors but its own waiting."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))

    def turn(item: pytest.Item) -> tuple[int, int]:
        room = item.path.relative_to(_TESTS).parts[0]
        return -slow[item.path], _LONG.index(room) if room in _LONG else len(_LONG)

    items.sort(key=turn)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what cspine remembers of this processor within the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Returns real public CT beside the repository; see docs/reference/real-data.md."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("needs the public test scans in ../shared/data")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def coded_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a small real model package that reads the necks of :mod:`tests.coded`."""
    from tests.coded import write_coded_localiser, write_coded_package

    folder, scratch = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("network")
    write_coded_localiser(folder / "coded_localiser", scratch)
    return write_coded_package(folder / "coded", scratch)


@pytest.fixture(scope="session")
def coded_localiser(coded_package: Path) -> Path:
    """Returns a small real package that finds the vertebrae of the necks of :mod:`tests.coded`."""
    return coded_package.parent / "coded_localiser"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yields one Chromium for all tests that look at pages."""
    program = chromium()
    if program is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    with Browser(program) as running:
        yield running
