import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra serve: pip install 'cspine[serve]'")
pytest.importorskip("pynetdicom", reason="needs the extra serve: pip install 'cspine[serve]'")

from sqlalchemy import text

from cspine.node.store import Store, open_store
from cspine.node.store.tables import metadata
from tests.node.times import Clock


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Yields the URL of a PostgreSQL of our own, in a folder that goes in the end."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = programs[-1] if programs else Path(shutil.which("initdb") or "/none/initdb").parent
    if not (found / "initdb").is_file():
        pytest.skip("needs PostgreSQL (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="cspine-pg-", dir="/tmp"))  # its socket needs a short path
    as_user: list[str | Path] = []
    if os.geteuid() == 0:  # it refuses to be run by root
        if shutil.which("runuser") is None or subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode:
            pytest.skip("needs the user postgres, as PostgreSQL does not run as root")
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    cluster = folder / "cluster"
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    subprocess.run(
        [*as_user, found / "initdb", "-D", cluster, "-U", "node", "--auth=trust", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    control = [*as_user, found / "pg_ctl", "-D", cluster, "-w", "-l", folder / "log"]
    subprocess.run([*control, "start", "-o", options], check=True, capture_output=True, cwd=folder)
    try:
        yield f"postgresql://node@/postgres?host={folder}"
    finally:
        subprocess.run([*control, "stop", "-m", "immediate"], check=False, capture_output=True, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)


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
