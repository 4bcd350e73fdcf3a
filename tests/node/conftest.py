from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra serve: pip install 'cspine[serve]'")
pytest.importorskip("pynetdicom", reason="needs the extra serve: pip install 'cspine[serve]'")

from sqlalchemy import text

from cspine.node import passwords
from cspine.node.store import Store, open_store
from cspine.node.store.tables import metadata
from tests.node.clusters import cluster, missing
from tests.node.times import Clock

PASSWORD_COST = (passwords._SCRYPT_N, passwords._SCRYPT_R, passwords._SCRYPT_P)


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Makes a password cost next to nothing instead of a third of a second, each time that it is given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_SCRYPT_N", 16)
        patch.setattr(passwords, "_SCRYPT_P", 1)
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Yields the URL of a PostgreSQL of our own."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yields each database in turn, empty."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    url = request.getfixturevalue("postgresql")
    yield url
    from cspine.node.store.database import _postgresql

    engine = _postgresql(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    assert metadata.tables


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: str, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """Yields a store whose clock the test sets."""
    opened = open_store(database, tmp_path / "node", clock)
    yield opened
    opened.close()
