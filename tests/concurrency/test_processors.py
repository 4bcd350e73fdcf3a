"""Counts the processors that this process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cspine.concurrency import processors as module
from cspine.concurrency.processors import limited_processors, processors


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns control groups in which this process is in ``pod/box``, on a machine of eight processors."""
    own = tmp_path / "cgroup"
    own.write_text("9:name=systemd:/other\n1:cpu,cpuacct:/pod/box\n0::/pod/box\n")
    monkeypatch.setattr(module, "_CGROUPS", tmp_path)
    monkeypatch.setattr(module, "_OWN_CGROUP", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return tmp_path


def _state(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"cpu.{name}").write_text(text)


def test_without_a_limit_all_may_be_used(groups: Path) -> None:
    _state(groups / "pod", max="max 100000\n")

    assert processors() == 8
    assert limited_processors() is None


@pytest.mark.parametrize(("quota", "count"), [("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8)])
def test_the_quota_of_a_control_group_counts(groups: Path, quota: str, count: int) -> None:
    _state(groups / "pod" / "box", max=quota)

    assert processors() == count


def test_the_quota_of_a_group_around_counts_too(groups: Path) -> None:
    _state(groups / "pod", max="300000 100000")
    _state(groups / "pod" / "box", max="600000 100000")

    assert processors() == 3
    assert limited_processors() == 3


def test_quotas_of_version_1_count(groups: Path) -> None:
    _state(groups / "cpu,cpuacct" / "pod" / "box", cfs_quota_us="400000\n", cfs_period_us="100000\n")

    assert processors() == 4


@pytest.mark.parametrize("text", ["", "max", "-1 100000", "100000 0", "many few", "1 2 3"])
def test_a_quota_that_says_nothing_limits_nothing(groups: Path, text: str) -> None:
    _state(groups / "pod" / "box", max=text)

    assert processors() == 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to processors")
def test_a_process_bound_to_one_processor_uses_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from cspine.concurrency.processors import processors; print(processors())"
    )

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert output.stdout.strip() == "1"
