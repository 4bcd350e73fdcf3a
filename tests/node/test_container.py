"""The Containerfile: its steps make a node that an ordinary user runs, and that writes nothing but its data."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from cspine.node.config_file import read_config
from tests.node.containers import Prefix, plain, steps
from tests.node.nodes import ROOT, send, until, write_config, write_series

_FILE = ROOT / "deploy" / "Containerfile"
_TEXT = _FILE.read_text(encoding="utf-8")
_NOBODY = "65534"


def _ordinary() -> list[str]:
    """Returns words that run a command as a user who may not write what others own."""
    if os.geteuid() != 0:
        return []
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")  # Python may lie in the home of root
    words = ["setpriv", "--reuid", _NOBODY, "--regid", _NOBODY, "--clear-groups", *reading]
    try:
        subprocess.run([*words, sys.executable, "-c", "import pip"], check=True, capture_output=True, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs setpriv and the right to read every file, as root has outside containers")
    return words


@pytest.fixture
def root() -> Iterator[Path]:
    """Yields a folder that any user may enter."""
    with tempfile.TemporaryDirectory(prefix="cspine-root-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        for folder in (path / "opt", path / "src"):
            if folder.is_dir():
                _may_write(folder, True)


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, int(_NOBODY), int(_NOBODY))


def _may_write(top: Path, allowed: bool) -> None:
    """Lets the owner of a tree write, or nobody."""
    for path in [top, *top.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o7777
            path.chmod(mode | 0o200 if allowed else mode & ~0o222)


def _written(top: Path) -> dict[str, int]:
    return {str(path.relative_to(top)): path.lstat().st_mtime_ns for path in top.rglob("*")}


def _built(root: Path, runner: list[str]) -> Prefix:
    """Runs the steps in a prefix that belongs to the user who runs them."""
    prefix = Prefix(root, ROOT, runner, plain(os.environ), int(_NOBODY) if runner else None)
    prefix.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    _give(root)
    for name in ("src", "opt"):
        (root / name).mkdir()
        _give(root / name)
    prefix.run(_FILE, Path(sysconfig.get_path("purelib")))
    scratch = root / "tmp"
    scratch.mkdir()
    for folder in (root / "var" / "lib" / "cspine", scratch):
        _give(folder)
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR"):
        prefix.environment[name] = prefix.environment[name].replace("/tmp", str(scratch))
    prefix.environment |= {"TMPDIR": str(scratch)}
    for name in ("src", "opt"):
        _may_write(root / name, False)
    return prefix


@pytest.mark.slow
def test_its_steps_make_a_node_for_an_ordinary_user_with_a_read_only_tree(root: Path, coded_package: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="needs setuptools 77 to build without asking a registry")
    runner = _ordinary()
    prefix, data = _built(root, runner), root / "var" / "lib" / "cspine"
    packages = Path(shutil.copytree(coded_package.parent, root / "packages"))
    config_file = write_config(root / "etc" / "cspine", packages / "coded", node={"data": str(data)})
    config, series = read_config(config_file), write_series(root / "scan", 1)
    command, before = prefix.command(prefix.entry), _written(root / "opt")

    checked = subprocess.run([*command, "--check"], env=prefix.environment, cwd="/", capture_output=True, text=True, check=False)
    with (
        (root / "log").open("wb") as log,
        subprocess.Popen(command, env=prefix.environment, cwd="/", stdout=log, stderr=log) as process,
    ):
        try:
            until(lambda: send(config.node.dicom.port, series.images()) == [0] * len(series.files), "taking images")
            until(lambda: 'cspine_jobs{state="done"} 1.0' in _metrics(config.node.web.port), "a result")
        finally:
            process.terminate()

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert _written(root / "opt") == before
    assert data.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_uid for path in data.rglob("*")} == {int(_NOBODY) if runner else os.geteuid()}
    assert str(ROOT) not in (root / "log").read_text()


def _metrics(port: int) -> str:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            return str(answer.read(), "utf-8")
    except URLError:
        return ""


def test_it_runs_as_no_root_and_opens_the_ports_of_the_example() -> None:
    (user,) = [step.split()[1] for step in steps(_TEXT) if step.startswith("USER ")]
    (ports,) = [step.split()[1:] for step in steps(_TEXT) if step.startswith("EXPOSE ")]
    example = (ROOT / "deploy" / "node.toml").read_text(encoding="utf-8")

    assert int(user.split(":")[0]) > 0
    assert ports == re.findall(r'^(?:dicom|web) = "0\.0\.0\.0:(\d+)"', example, re.MULTILINE)


def test_its_command_and_that_of_the_unit_are_the_same() -> None:
    (entry,) = [json.loads(step.partition(" ")[2]) for step in steps(_TEXT) if step.startswith("ENTRYPOINT ")]
    unit = (ROOT / "deploy" / "cspine.service").read_text(encoding="utf-8")

    assert f"ExecStart={' '.join(entry)}\n" in unit
