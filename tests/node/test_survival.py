"""Processes of a node are killed at random moments; the long form is ``python -m benchmarks.node.survival``."""

from pathlib import Path

import pytest

from benchmarks.node.survival import Plan, survive


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves sockets open
def test_nothing_is_lost_or_doubled_when_processes_are_killed(database: str, coded_package: Path, tmp_path: Path) -> None:
    survived = survive(Plan(studies=5, kills=8, seed=7, pause_s=2.0, database=database), tmp_path / "run", coded_package)

    assert survived.faults == []
    assert sum(survived.kills.values()) == 8
    assert survived.versions >= 5
