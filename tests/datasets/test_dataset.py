import shutil
from pathlib import Path

import nibabel
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1

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


def test_a_row_that_is_too_long_is_told(folder: Path) -> None:
    edit(folder / "train.csv", f"{UID}1,0,0,0,0,0,0,0,0", f"{UID}1,0,0,0,0,0,0,0,0,1")
    edit(folder / "train_bounding_boxes.csv", f"{UID}2,10,13,15,12,19", f"{UID}2,10,13,15,12,19,7\n,10,13,15,12,19")
    data = read_dataset(folder, skip_broken=True)

    assert [problem.code for problem in data.problems] == ["bad_row", "bad_box", "bad_box"]
    assert "has more cells than the table has columns" in data.problems[0].text
    assert "line 3 has no StudyInstanceUID" in data.problems[2].text
    assert [case.study_uid for case in data.cases] == [f"{UID}2", f"{UID}3"]


@pytest.mark.parametrize("header", ["", "Unnamed: 0", "Unnamed: 0.1", "Unnamed: 0,"])
@pytest.mark.parametrize("table", ["train.csv", "train_bounding_boxes.csv"])
def test_the_index_that_pandas_writes_is_ignored_and_told_once(folder: Path, table: str, header: str) -> None:
    lines = (folder / table).read_text().splitlines()
    before = read_dataset(folder)
    cells = "," * (header.count(",") + 1)
    (folder / table).write_text("\n".join([f"{header},{lines[0]}", *(f"{n}{cells}{row}" for n, row in enumerate(lines[1:]))]))
    data = read_dataset(folder)

    assert data.cases == before.cases
    assert [problem.code for problem in data.problems] == ["index_column"]
    assert data.problems[0].text.startswith(f"{table} has the column of an index (")


def test_a_row_that_is_too_long_is_told_beside_an_index_too(folder: Path) -> None:
    lines = (folder / "train.csv").read_text().splitlines()
    lines[2] += ",1"
    (folder / "train.csv").write_text("\n".join([f",{lines[0]}", *(f"{n},{row}" for n, row in enumerate(lines[1:]))]))
    data = read_dataset(folder, skip_broken=True)

    assert [problem.code for problem in data.problems] == ["index_column", "bad_row"]
    assert len(data.cases) == 2


def test_a_repeated_box_is_told_and_counted_once(folder: Path) -> None:
    edit(folder / "train_bounding_boxes.csv", f"{UID}2,10,13,15,12,19", f"{UID}2,10,13,15,12,19\n{UID}2,10.0,13,15,12,19")
    data = read_dataset(folder)

    assert [problem.code for problem in data.problems] == ["duplicate_row"]
    assert len(data.cases[1].boxes) == 1


def test_a_gap_between_slices_is_told(folder: Path) -> None:
    (folder / "train_images" / f"{UID}1" / "7.dcm").unlink()

    assert codes(folder) == [("missing_slices", f"{UID}1")]


def test_a_truncated_slice_is_told(folder: Path) -> None:
    path = folder / "train_images" / f"{UID}1" / "7.dcm"
    path.write_bytes(path.read_bytes()[:-100])

    assert codes(folder) == [("truncated_slice", f"{UID}1")]


@pytest.mark.parametrize("lost", [1, 7, 11])
def test_a_slice_that_lacks_its_last_bytes_is_told(folder: Path, lost: int) -> None:
    for path in (folder / "train_images" / f"{UID}1").iterdir():
        path.write_bytes(path.read_bytes()[:-lost])

    assert codes(folder) == [("truncated_slice", f"{UID}1")]


def test_a_compressed_slice_that_is_cut_off_is_told_even_if_others_are_smaller(folder: Path) -> None:
    for path in sorted((folder / "train_images" / f"{UID}1").iterdir()):
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        image.PixelData = encapsulate([bytes(4 * int(path.stem))])
        image["PixelData"].is_undefined_length = True
        image.save_as(path)
    assert codes(folder) == []

    cut = folder / "train_images" / f"{UID}1" / "30.dcm"
    cut.write_bytes(cut.read_bytes()[:-9])

    assert codes(folder) == [("truncated_slice", f"{UID}1")]


@pytest.mark.parametrize("name", ["seven.dcm", "07.dcm", "7.DCM", "7 (copy).dcm"])
def test_a_file_that_is_not_called_by_its_number_is_told(folder: Path, name: str) -> None:
    images = folder / "train_images" / f"{UID}1"
    (images / "7.dcm").rename(images / name)

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


def test_a_second_mask_and_a_mask_of_another_name_are_told(folder: Path) -> None:
    masks = folder / "segmentations"
    nibabel.save(nibabel.load(masks / f"{UID}1.nii"), masks / f"{UID}1.nii.gz")
    (masks / f"{UID}2.nii").rename(masks / f"{UID}2.NII")
    (masks / f"{UID}3.mha").write_bytes(b"")
    (masks / "readme.txt").write_text("who drew them")
    data = read_dataset(folder, skip_broken=True)

    assert [(problem.code, problem.study_uid) for problem in data.problems] == [
        ("duplicate_mask", f"{UID}1"),
        ("unknown_mask", f"{UID}2"),
        ("unknown_mask", f"{UID}3"),
    ]
    assert [case.mask for case in data.cases] == [masks / f"{UID}1.nii", None, None]


def test_rows_and_folders_of_test_studies_that_fit_nothing_are_told(folder: Path) -> None:
    rows = f"{UID}3_C1,{UID}3,C1\n{UID}3_C1,{UID}3,C1\n{UID}3_C9,{UID}3,C9\nx,,C1\n"
    (folder / "test.csv").write_text("row_id,StudyInstanceUID,prediction_type\n" + rows)
    for uid in (f"{UID}3", f"{UID}8"):
        shutil.copytree(folder / "train_images" / f"{UID}3", folder / "test_images" / uid)
    data = read_dataset(folder, skip_broken=True)

    found = [(problem.code, problem.study_uid) for problem in data.problems]
    bad = [("bad_row", f"{UID}3"), ("bad_row", f"{UID}3"), ("bad_row", None)]
    assert found == [*bad, ("train_and_test", f"{UID}3"), ("unlabelled_study", f"{UID}8")]
    assert "line 4 needs a row_id of its own, a study and one of patient_overall, C1" in data.problems[1].text
    assert [case.study_uid for case in data.test] == [f"{UID}3"]


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
    unlisted = [("unlabelled_study", f"{UID}{number}") for number in (2, 3)]
    assert [(problem.code, problem.study_uid) for problem in data.problems] == [("missing_images", f"{UID}7"), *unlisted]
