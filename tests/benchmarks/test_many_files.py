from pathlib import Path

from benchmarks.many_files import make
from cspine.datasets import read_dataset


def test_the_folder_is_a_data_set_without_problems_and_takes_one_file_a_study(tmp_path: Path) -> None:
    make(tmp_path / "data", studies=9, slices=5)
    make(tmp_path / "data", studies=9, slices=5)

    found = read_dataset(tmp_path / "data")

    assert (len(found.cases), found.problems) == (9, ())
    assert len(list((tmp_path / "data").rglob("*.dcm"))) == 9 * 5
    assert len({path.stat().st_ino for path in (tmp_path / "data").rglob("*.dcm")}) == 9
