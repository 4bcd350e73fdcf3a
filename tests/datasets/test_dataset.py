from pathlib import Path

import pytest

from cspine.datasets import read_dataset
from cspine.errors import DatasetError
from tests.datasets.by_hand import edit

UID = "1.2.826.0.1.3680043."


def codes(folder: Path) -> list[tuple[str, str | None]]:
    return [(problem.code, problem.study_uid) for problem in read_dataset(folder, skip_broken=True).problems]


def test_a_sound_folder_is_read_as_cases(folder: Path) -> None:
    data = read_dataset(folder)
    healthy, broken, _ = data.cases

    assert [case.study_uid for case in data.cases] == [f"{UID}1", f"{UID}2", f"{UID}3"]
    assert healthy.any_fractured is False
    assert broken.fractured == (False, True, False, False, True, False, False)
    assert [(box.slice_number, box.x, box.y, box.width, box.height) for box in broken.boxes] == [(19, 10, 13, 15, 12)]
    assert broken.mask == folder / "segmentations" / f"{UID}2.nii"
    assert broken.truth is None
    assert data.problems == ()


def test_a_folder_without_tables_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"needs train\.csv or test\.csv"):
        read_dataset(tmp_path)


def test_a_table_without_a_column_is_refused_whatever_is_skipped(folder: Path) -> None:
    edit(folder / "train.csv", ",C7", ",D7")
    with pytest.raises(DatasetError, match="Missing: C7"):
        read_dataset(folder, skip_broken=True)


def test_the_first_problem_is_told_and_the_others_counted(folder: Path) -> None:
    edit(folder / "train.csv", f"{UID}1,0,0", f"{UID}1,1,0")
    edit(folder / "train.csv", f"{UID}3,0,0", f"{UID}3,0,x")
    with pytest.raises(DatasetError, match=r"needs 0 or 1|patient_overall 1, but its levels say 0.*And 1 more"):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (f"{UID}1,0,0", f"{UID}1,1,0", "labels_contradict"),
        (f"{UID}1,0,0", f"{UID}1,0,7", "bad_row"),
        (f"{UID}1,0,0", f"{UID}1,0,", "bad_row"),
        (f"{UID}1,0,0", f"{UID}1,1,1,0,0,0,0,0,0\n{UID}1,0,0", "labels_contradict"),
    ],
)
def test_a_bad_row_takes_its_study_out_and_says_so(folder: Path, old: str, new: str, code: str) -> None:
    edit(folder / "train.csv", old, new)
    data = read_dataset(folder, skip_broken=True)

    assert [(problem.code, problem.study_uid) for problem in data.problems] == [(code, f"{UID}1")]
    assert data.excluded == {f"{UID}1": code}
    assert [case.study_uid for case in data.cases] == [f"{UID}2", f"{UID}3"]


def test_a_repeated_row_is_told_and_hurts_nothing(folder: Path) -> None:
    edit(folder / "train.csv", f"{UID}3,0,0", f"{UID}1,0,0,0,0,0,0,0,0\n{UID}3,0,0")
    data = read_dataset(folder)

    assert [problem.code for problem in data.problems] == ["duplicate_row"]
    assert len(data.cases) == 3


def test_a_study_without_images_and_images_without_a_row_are_told(folder: Path) -> None:
    (folder / "train_images" / f"{UID}3").rename(folder / "train_images" / f"{UID}4")

    assert codes(folder) == [("missing_images", f"{UID}3"), ("unlabelled_study", f"{UID}4")]


def test_a_gap_between_slices_is_told(folder: Path) -> None:
    (folder / "train_images" / f"{UID}1" / "7.dcm").unlink()

    assert codes(folder) == [("missing_slices", f"{UID}1")]


def test_a_truncated_slice_is_told(folder: Path) -> None:
    path = folder / "train_images" / f"{UID}1" / "7.dcm"
    path.write_bytes(path.read_bytes()[:-100])

    assert codes(folder) == [("truncated_slice", f"{UID}1")]


def test_a_file_that_is_not_called_by_its_number_is_told(folder: Path) -> None:
    images = folder / "train_images" / f"{UID}1"
    (images / "7.dcm").rename(images / "seven.dcm")

    assert codes(folder) == [("bad_slice_name", f"{UID}1")]


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (f"{UID}2,10,13,15,12,190", "box_without_slice"),
        (f"{UID}2,30,13,15,12,19", "box_outside_image"),
        (f"{UID}2,10,13,15,0,19", "bad_box"),
        (f"{UID}2,10,13,15,12,19.5", "bad_box"),
        (f"{UID}2,ten,13,15,12,19", "bad_box"),
    ],
)
def test_a_bad_box_takes_all_boxes_of_its_study_away_but_keeps_the_study(folder: Path, new: str, code: str) -> None:
    edit(folder / "train_bounding_boxes.csv", f"{UID}2,10,13,15,12,19", f"{UID}2,10,13,15,12,20\n{new}")
    data = read_dataset(folder, skip_broken=True)

    assert [(problem.code, problem.study_uid) for problem in data.problems] == [(code, f"{UID}2")]
    assert [(case.study_uid, case.boxes) for case in data.cases] == [(f"{UID}{n}", ()) for n in (1, 2, 3)]


def test_boxes_of_an_unknown_study_are_told(folder: Path) -> None:
    edit(folder / "train_bounding_boxes.csv", f"{UID}2,", f"{UID}99,")

    assert codes(folder) == [("unknown_study", f"{UID}99")]


def test_boxes_on_a_healthy_study_take_it_out(folder: Path) -> None:
    edit(folder / "train_bounding_boxes.csv", f"{UID}2,", f"{UID}3,")
    data = read_dataset(folder, skip_broken=True)

    assert data.excluded == {f"{UID}3": "labels_contradict"}
    assert data.cases[0].study_uid == f"{UID}1"


def test_a_mask_that_is_cut_off_or_belongs_to_nobody_is_told(folder: Path) -> None:
    masks = folder / "segmentations"
    (masks / f"{UID}9.nii").write_bytes((masks / f"{UID}1.nii").read_bytes())
    (masks / f"{UID}1.nii").write_bytes((masks / f"{UID}1.nii").read_bytes()[:5000])
    data = read_dataset(folder, skip_broken=True)

    assert [(problem.code, problem.study_uid) for problem in data.problems] == [
        ("bad_mask", f"{UID}1"),
        ("unknown_mask", f"{UID}9"),
    ]
    assert [case.mask is not None for case in data.cases] == [False, True, False]


def test_known_bad_studies_are_left_out_unless_the_caller_wants_them(folder: Path) -> None:
    bad = f"{UID}20574"
    edit(folder / "train.csv", f"{UID}3,", f"{bad},")
    (folder / "train_images" / f"{UID}3").rename(folder / "train_images" / bad)

    assert read_dataset(folder).excluded == {bad: "known_bad: left out by every published solution"}
    assert [case.study_uid for case in read_dataset(folder, exclude=()).cases] == [f"{UID}1", f"{UID}2", bad]
    assert read_dataset(folder, exclude=[f"{UID}1"]).excluded == {f"{UID}1": "known_bad: on the list of the caller"}


def test_test_studies_are_read_without_labels(folder: Path) -> None:
    (folder / "train_images").rename(folder / "test_images")
    (folder / "train.csv").unlink()
    (folder / "train_bounding_boxes.csv").unlink()
    rows = "".join(f"{UID}1_{kind},{UID}1,{kind}\n" for kind in ("C1", "patient_overall"))
    (folder / "test.csv").write_text("row_id,StudyInstanceUID,prediction_type\n" + rows + f"{UID}7_C1,{UID}7,C1\n")
    for mask in (folder / "segmentations").iterdir():
        mask.unlink()
    data = read_dataset(folder, skip_broken=True)

    assert data.cases == ()
    assert [(case.study_uid, case.fractured) for case in data.test] == [(f"{UID}1", None)]
    assert [(problem.code, problem.study_uid) for problem in data.problems] == [("missing_images", f"{UID}7")]
