"""A PostgreSQL of our own, in a folder that goes in the end."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def missing() -> str | None:
    """Returns what this machine lacks to run a PostgreSQL, in words; ``None`` where it can."""
    if not (_programs() / "initdb").is_file():
        return "needs PostgreSQL (apt-get install postgresql)"
    known = (
        shutil.which("runuser") is not None and not subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode
    )
    if os.geteuid() == 0 and not known:
        return "needs the user postgres, as PostgreSQL does not run as root"
    return None


@contextmanager
def cluster() -> Iterator[str]:
    """Yields the URL of an empty PostgreSQL, which runs while the context is open."""
    found, folder = _programs(), Path(tempfile.mkdtemp(prefix="cspine-pg-", dir="/tmp"))  # its socket needs a short path
    as_user: list[str | Path] = []
    if os.geteuid() == 0:  # it refuses to be run by root
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "cluster"
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    made: list[str | Path] = [found / "initdb", "-D", data, "-U", "node", "--auth=trust", "-E", "UTF8", "--no-sync"]
    control = [*as_user, found / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    try:
        subprocess.run([*as_user, *made], check=True, capture_output=True, cwd=folder)
        subprocess.run([*control, "start", "-o", options], check=True, capture_output=True, cwd=folder)
        yield f"postgresql://node@/postgres?host={folder}"
    finally:
        subprocess.run([*control, "stop", "-m", "immediate"], check=False, capture_output=True, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Returns the folder of the programs of the newest PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return found[-1] if found else Path(shutil.which("initdb") or "/none/initdb").parent
