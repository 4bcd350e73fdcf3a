"""Tests what `cspine info` says of a data set."""

import json
from pathlib import Path

import pytest

from cspine.cli import main
from cspine.datasets import Case, Dataset, SliceBox, read_dataset
from cspine.datasets.summary import BoxSummary, as_table, summarise
from tests.datasets.by_hand import ROOT_UID, edit


def boxed(number: int, *boxes: tuple[int, float, float]) -> Case:
    """Returns a study with boxes, each told by its slice, width and height."""
    drawn = tuple(SliceBox(slice_number, 1.0, 2.0, width, height) for slice_number, width, height in boxes)
    return Case(f"{ROOT_UID}{number}", Path(), (True, *[False] * 6), drawn)


def test_boxes_are_counted_by_slices_runs_and_sizes() -> None:
    once = boxed(1, (7, 30, 28))
    twice = boxed(2, (9, 80, 60), (10, 90, 70), (12, 208, 162), (11, 100, 80), (40, 89, 70))
    never = boxed(3)

    found = summarise(Dataset(Path("data"), (once, twice, never)))

    assert (found.boxes, found.boxed_studies) == (6, 2)
    assert found.box_summary == BoxSummary(slices=(1, 3, 5), runs=1.5, size_px=(89.5, 70), slices_with_several=0)
    line = next(line for line in as_table(found) if "boxes of a study" in line)
    assert line == "  boxes of a study            on 1 to 5 slices (median 3) in 1.5 runs, 89.5 x 70 pixels (median)"


def test_a_data_set_without_boxes_says_nothing_of_their_sizes() -> None:
    found = summarise(Dataset(Path("data"), (boxed(1),)))

    assert found.box_summary is None
    assert not any("boxes of a study" in line for line in as_table(found))


def test_two_boxes_on_one_slice_are_both_kept_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(
        folder / "train_bounding_boxes.csv", f"{ROOT_UID}2,10,13,15,12,19", f"{ROOT_UID}2,10,13,15,12,19\n{ROOT_UID}2,11,14,9,8,19"
    )
    assert [box.slice_number for box in read_dataset(folder).cases[1].boxes] == [19, 19]

    assert main(["info", str(folder)]) == 0
    told = capsys.readouterr().out
    assert main(["info", str(folder), "--json"]) == 0

    assert "; slices with several boxes: 1" in told
    assert json.loads(capsys.readouterr().out)["box_summary"] == {
        "slices": [1, 1, 1],
        "runs": 1.0,
        "size_px": [12.0, 10.0],
        "slices_with_several": 1,
    }
