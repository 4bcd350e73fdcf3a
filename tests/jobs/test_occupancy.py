from pathlib import Path

import pytest

from cspine.errors import OutputError
from cspine.jobs.job import Shard
from cspine.jobs.occupancy import occupied


def test_two_runs_do_not_write_into_one_folder_and_leave_no_lock(tmp_path: Path) -> None:
    with (
        occupied(tmp_path / "out"),
        pytest.raises(OutputError, match=r"^Another run of cspine writes to .*out\. Wait until it ends, or choose another folder"),
        occupied(tmp_path / "out"),
    ):
        pass

    with occupied(tmp_path / "out"):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_shares_of_one_division_work_in_one_folder_each_once(tmp_path: Path) -> None:
    with occupied(tmp_path, Shard(1, 2)):
        with occupied(tmp_path, Shard(2, 2)):
            pass
        for other in (Shard(1, 2), Shard(3, 3), None):
            with pytest.raises(OutputError, match="Another run of cspine writes to"), occupied(tmp_path, other):
                pass

    with occupied(tmp_path, Shard(3, 3)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(OutputError, match=r"file/out cannot be written: Not a directory\. Choose another folder with -o"),
        occupied(tmp_path / "file" / "out"),
    ):
        pass


def test_a_fault_within_a_run_is_not_taken_for_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), occupied(tmp_path):
        raise PermissionError(13, "elsewhere")
