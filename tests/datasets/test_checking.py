from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from cspine.datasets import Case, Problem, check_case, check_once, checking, read_dataset, verified
from cspine.datasets.cache import Cache
from cspine.errors import DatasetError
from tests.datasets.by_hand import ROOT_UID, blocks, edit, write_mask


def found(case: Case) -> list[str]:
    return [problem.code for problem in check_case(case)]


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray], shift_mm: float = 0.0) -> None:
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[0, 3] += shift_mm
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(change(np.asarray(image.dataobj))), affine), path)


def test_nothing_is_wrong_with_sound_cases(folder: Path) -> None:
    assert [found(case) for case in read_dataset(folder).cases] == [[], [], []]


@pytest.mark.parametrize(
    ("change", "shift_mm", "code"),
    [
        (lambda labels: labels[:, :, ::-1], 0.0, "mask_upside_down"),
        (lambda labels: labels[::-1], 0.0, "mask_not_on_bone"),
        (lambda labels: labels[:, ::-1], 0.0, "mask_not_on_bone"),
        (lambda labels: np.roll(labels, 12, axis=0), 0.0, "mask_not_on_bone"),
        (lambda labels: np.roll(labels, 5, axis=1), 0.0, "mask_not_on_bone"),
        (lambda labels: labels, 300.0, "mask_outside_image"),
        (np.zeros_like, 0.0, "mask_empty"),
        (lambda labels: np.where(labels > 0, 9, 0).astype(np.int16), 0.0, "mask_empty"),
        (lambda labels: labels + 0.5 * (labels > 0), 0.0, "bad_mask"),
    ],
)
@pytest.mark.parametrize("study", [0, 1])
def test_a_wrong_mask_is_told(
    folder: Path, study: int, change: Callable[[np.ndarray], np.ndarray], shift_mm: float, code: str
) -> None:
    case = read_dataset(folder).cases[study]
    assert case.mask is not None
    rewrite(case.mask, change, shift_mm)

    assert found(case) == [code]


def test_images_of_another_size_in_a_study_are_told(folder: Path) -> None:
    images = folder / "train_images" / f"{ROOT_UID}2"
    for path in (images / f"{number}.dcm" for number in (4, 9, 14, 21, 28)):
        image = dcmread(path)
        image.Rows, image.Columns, image.PixelData = 8, 8, bytes(128)
        image.save_as(path)

    (problem, *_) = check_case(read_dataset(folder).cases[1])

    assert problem.code == "images_left_out"
    assert "is used in part" in problem.text
    assert "the other 5 images of the series are left out" in problem.text


def test_a_box_on_an_image_that_is_another_by_its_header_is_told(folder: Path) -> None:
    images = folder / "train_images" / f"{ROOT_UID}2"
    for old, new in (("19", "swap"), ("5", "19"), ("swap", "5")):
        (images / f"{old}.dcm").rename(images / f"{new}.dcm")

    (problem,) = check_case(read_dataset(folder).cases[1])

    assert problem.code == "box_off_vertebra"
    assert "needs image 19. 19.dcm says that it is 5. No box" in problem.text


@pytest.mark.parametrize("masked", [True, False])
def test_a_box_beside_the_bones_is_told(folder: Path, masked: bool) -> None:
    edit(folder / "train_bounding_boxes.csv", ",10,13,15,12,19", ",29,33,6,6,19")
    if not masked:
        (folder / "segmentations" / f"{ROOT_UID}2.nii").unlink()

    assert found(read_dataset(folder).cases[1]) == ["box_off_vertebra"]


def test_a_box_on_the_right_pixels_of_the_wrong_slice_is_told(folder: Path) -> None:
    edit(folder / "train_bounding_boxes.csv", ",10,13,15,12,19", ",12,15,10,10,31")

    assert found(read_dataset(folder).cases[1]) == ["box_off_vertebra"]


def test_a_damaged_image_is_told(folder: Path) -> None:
    path = folder / "train_images" / f"{ROOT_UID}3" / "9.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    case = Case(f"{ROOT_UID}3", path.parent, (False,) * 7)

    assert found(case) == ["bad_images"]


def test_only_what_is_wrong_is_left_out(folder: Path) -> None:
    _, labels = blocks()
    write_mask(folder / "segmentations" / f"{ROOT_UID}1.nii", labels[::-1])
    edit(folder / "train_bounding_boxes.csv", ",10,13,15,12,19", ",29,33,6,6,19")
    path = folder / "train_images" / f"{ROOT_UID}3" / "9.dcm"
    data = read_dataset(folder)
    path.write_bytes(path.read_bytes()[:-100])
    rest = verified(data, skip_broken=True)

    assert [problem.code for problem in rest.problems] == ["mask_upside_down", "box_off_vertebra", "bad_images"]
    assert rest.excluded == {f"{ROOT_UID}3": "bad_images"}
    assert [(case.mask is not None, len(case.boxes)) for case in rest.cases] == [(False, 0), (True, 0)]
    with pytest.raises(DatasetError, match=r"does not show C1\.\.C7 from head to feet.*And 2 more"):
        verified(data)


def test_what_was_checked_is_known_until_the_files_change(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, cache = read_dataset(folder).cases[0], Cache(tmp_path / "cache")
    assert case.mask is not None
    rewrite(case.mask, lambda labels: labels[:, :, ::-1])
    first = check_once(case, cache)
    read: list[Case] = []

    def checked(case: Case) -> tuple[Problem, ...]:
        read.append(case)
        return check_case(case)

    monkeypatch.setattr(checking, "check_case", checked)

    assert check_once(case, Cache(tmp_path / "cache")) == first == check_case(case)
    assert not read

    rewrite(case.mask, lambda labels: labels[:, :, ::-1])

    assert check_once(case, cache) == ()
    assert read == [case]


def test_other_boxes_are_checked_again(folder: Path, tmp_path: Path) -> None:
    case, cache = next(case for case in read_dataset(folder).cases if case.boxes), Cache(tmp_path / "cache")
    assert check_once(case, cache) == ()

    away = tuple(replace(box, x=box.x + 400.0) for box in case.boxes)

    assert [problem.code for problem in check_once(replace(case, boxes=away), cache)] == ["box_off_vertebra"]


def test_a_study_whose_files_cannot_be_read_is_checked_each_time(folder: Path, tmp_path: Path) -> None:
    case = read_dataset(folder).cases[0]
    (case.images / "gone.dcm").symlink_to(tmp_path / "nowhere")

    assert check_once(case, Cache(tmp_path / "cache")) == check_case(case)
    assert not (tmp_path / "cache" / "texts").exists()
