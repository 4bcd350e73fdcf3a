"""Starting a run reads its data set once, however large it is."""

from pathlib import Path

import pytest

from cspine.datasets import Dataset, read_dataset
from cspine.errors import TrainingError
from cspine.recipes import load_recipe
from cspine.training.core import runs
from cspine.training.core.family import TrainingPlace, cases_to_train
from cspine.training.core.settings import with_settings
from tests.datasets.by_hand import ROOT_UID, edit, write_folder
from tests.training.synthetic import Silent

RECIPE = with_settings(load_recipe("custom_cnn"), {"split.folds": "2"})


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Returns the folders of data sets, as they are read."""
    read: list[Path] = []

    def reading(folder: Path, *, skip_broken: bool = False) -> Dataset:
        read.append(folder)
        return read_dataset(folder, skip_broken=skip_broken)

    monkeypatch.setattr(runs, "read_dataset", reading)
    return read


def begin(data: Path, folder: Path, *, skip_broken: bool = False) -> runs.Run:
    return runs.begin_on_cases(RECIPE, data, folder.parent / "cache", folder, Silent(), skip_broken=skip_broken)


def test_the_process_that_starts_a_run_reads_its_data_once(tmp_path: Path, readings: list[Path]) -> None:
    data = write_folder(tmp_path / "data")

    run = begin(data, tmp_path / "run")
    cases = cases_to_train(run, TrainingPlace(tmp_path, data), [0])

    assert readings == [data]
    assert cases == cases_to_train(runs.open_run(run.folder), TrainingPlace(tmp_path, data), [0])
    assert readings == [data, data]


def test_what_is_kept_of_broken_data_is_what_a_later_process_keeps(tmp_path: Path, readings: list[Path]) -> None:
    data = write_folder(tmp_path / "data")
    edit(data / "train_bounding_boxes.csv", ",19", ",99")
    (data / "train_images" / f"{ROOT_UID}3" / "5.dcm").unlink()
    (data / "segmentations" / f"{ROOT_UID}1.nii").rename(data / "segmentations" / f"{ROOT_UID}9.nii")

    run = begin(data, tmp_path / "run", skip_broken=True)
    cases = cases_to_train(run, TrainingPlace(tmp_path, data), [0])

    assert len(readings) == 1
    assert [(len(case.boxes), case.mask is not None) for case in cases] == [(0, False), (0, True)]
    assert cases == cases_to_train(runs.open_run(run.folder), TrainingPlace(tmp_path, data), [0])


def test_other_data_are_read_and_refused(tmp_path: Path, readings: list[Path]) -> None:
    data, other = write_folder(tmp_path / "data"), write_folder(tmp_path / "other")
    edit(other / "train.csv", f"{ROOT_UID}1,0,0", f"{ROOT_UID}1,1,1")
    run = begin(data, tmp_path / "run")

    with pytest.raises(TrainingError, match="other labels; give the same data set or start a new run"):
        cases_to_train(run, TrainingPlace(tmp_path, other), [0])

    assert readings == [data, other]
