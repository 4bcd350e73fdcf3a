"""Tests what the images and tables of RSNA 2022 are known for, where no other test holds it."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from cspine.datasets import KNOWN_BAD, box_in_world, check_case, read_dataset, traits
from cspine.datasets.case import Case
from cspine.reading import read_study
from cspine.training.core.marks import BOX_BIT
from cspine.training.slices.stacks import marks_on
from tests.datasets.by_hand import FIRST_MM, ROOT_UID, SPACING, edit, write_table
from tests.reading.scans import Scan, body, setting


@pytest.mark.parametrize("number", [20574, 29952, 20756, 8362])
def test_each_of_the_four_bad_studies_is_left_out_by_its_name(folder: Path, number: int) -> None:
    bad = f"{ROOT_UID}{number}"
    edit(folder / "train.csv", f"{ROOT_UID}3,", f"{bad},")
    (folder / "train_images" / f"{ROOT_UID}3").rename(folder / "train_images" / bad)

    data = read_dataset(folder)

    assert len(KNOWN_BAD) == 4
    assert data.excluded == {bad: f"known_bad: {KNOWN_BAD[bad]}"}
    assert data.problems == ()


def widen(folder: Path, numbers: range) -> None:
    """Adds seven columns to some images of study 2, as one study of the data has images of 512 x 519 among those of 512 x 512."""
    for number in numbers:
        path = folder / "train_images" / f"{ROOT_UID}2" / f"{number}.dcm"
        image = pydicom.dcmread(path)
        image.PixelData = np.pad(image.pixel_array, ((0, 0), (0, 7)), mode="edge").astype("<i2").tobytes()
        image.Columns += 7
        image.save_as(path)


@pytest.mark.parametrize(("wide", "columns", "left_out"), [(range(2, 5), 36, 3), (range(2, 29), 43, 3)])
def test_a_study_that_mixes_two_widths_is_read_from_the_more_frequent_one(
    folder: Path, wide: range, columns: int, left_out: int
) -> None:
    widen(folder, wide)

    case = read_dataset(folder).cases[1]
    study = read_study(case.images)

    assert study.volume.hu.shape == (27, 40, columns)
    assert f"the other {left_out} images of the series are left out" in study.warnings[0].text
    assert [problem.code for problem in check_case(case)] == ["images_left_out"]
    placed = box_in_world(study, case, case.boxes[0])
    np.testing.assert_allclose(placed.centre_mm, np.add(FIRST_MM, (17.0 * SPACING[2], 18.5 * SPACING[1], 12 * SPACING[0])))


def test_a_box_may_reach_into_the_columns_that_only_wide_images_have(folder: Path) -> None:
    widen(folder, range(15, 25))
    narrow, broad = f"{ROOT_UID}2,10,13,15,12,5", f"{ROOT_UID}2,30,13,13,12,19"
    edit(folder / "train_bounding_boxes.csv", f"{ROOT_UID}2,10,13,15,12,19", f"{narrow}\n{broad}")

    assert [box.slice_number for box in read_dataset(folder).cases[1].boxes] == [5, 19]

    edit(folder / "train_bounding_boxes.csv", ",19", ",30")
    assert [problem.code for problem in read_dataset(folder, skip_broken=True).problems] == ["box_outside_image"]


def test_an_image_of_512_by_519_is_read_row_by_row(tmp_path: Path) -> None:
    scan = Scan(hu=body(3, 512, 519), spacing_mm=(0.31, 0.31))

    study = read_study(scan.write(tmp_path))

    assert study.volume.hu.shape == (3, 512, 519)
    np.testing.assert_array_equal(study.volume.hu, scan.hu)


@pytest.mark.parametrize(("slices", "step_mm", "thickness_mm", "pixel_mm"), [(69, 0.7, 1.0, 0.71), (1082, 0.309, 0.625, 0.19)])
def test_the_shortest_and_the_longest_study_have_the_length_that_their_positions_say(
    tmp_path: Path, slices: int, step_mm: float, thickness_mm: float, pixel_mm: float
) -> None:
    overlapping = setting(SliceThickness=thickness_mm)
    Scan(hu=body(slices), step_mm=step_mm, spacing_mm=(pixel_mm, pixel_mm), change=overlapping).write(tmp_path, "{index}.dcm")

    study, found = read_study(tmp_path), traits(Case("1.2.3", tmp_path, None))

    assert study.volume.grid.shape[0] == found.slices == slices
    assert study.volume.grid.spacing_mm == pytest.approx((step_mm, pixel_mm, pixel_mm))
    assert found.length_mm == pytest.approx((slices - 1) * step_mm)
    assert found.length_mm < 0.75 * slices * thickness_mm


@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": 400, "WindowWidth": 1800}, {"WindowCenter": [40, 400], "WindowWidth": [80, 1800]}]
)
def test_no_window_changes_what_is_read(tmp_path: Path, window: dict[str, int | list[int]]) -> None:
    scan = Scan(change=setting(**window))

    np.testing.assert_array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_two_boxes_on_one_slice_are_both_marked(folder: Path) -> None:
    rows = [(10, 13, 15, 12, 19), (2, 3, 4, 5, 19)]
    header = ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]
    write_table(folder / "train_bounding_boxes.csv", [header, *([f"{ROOT_UID}2", *row] for row in rows)])
    case = read_dataset(folder).cases[1]
    study = read_study(case.images)

    marks = marks_on(study.volume.grid, case, study)

    boxed = marks[12] & BOX_BIT > 0  # file 19 is the 13th slice from the feet
    assert np.count_nonzero(marks & BOX_BIT) == np.count_nonzero(boxed) == 15 * 12 + 4 * 5
    assert boxed[13:25, 10:25].all()
    assert boxed[3:8, 2:6].all()
