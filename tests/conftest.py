"""What tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # a busy machine is no fault of a test
settings.load_profile("unhurried")

_SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public CT beside the repository; see docs/real-data.md."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("needs the public test scans in ../shared/data")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def coded_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model package that reads the necks of :mod:`tests.coded`."""
    from tests.coded import write_coded_package

    return write_coded_package(tmp_path_factory.mktemp("packages") / "coded", tmp_path_factory.mktemp("network"))
