from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.datasets import read_dataset
from cspine.geometry import Grid
from cspine.specs import VolumeSpec
from cspine.training.core.marks import LabelledImage
from cspine.training.localiser.masks import known_classes, masked_images, patient_windows, picture_grids
from cspine.training.localiser.pool import UNKNOWN_CLASS, UNNAMED_CLASS
from cspine.volume import LabelMap, Volume
from tests.training.folders import write_data_set
from tests.training.synthetic import stack

SPEC = VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(16, 16, 16), window_hu=(-300.0, 1300.0))
SHAPE = (60, 32, 32)
GRID = Grid.upright((0, 0, 0), SHAPE, SPEC.spacing_mm)


def neck(levels: range = range(1, 10)) -> tuple[LabelMap, Volume]:
    """Blocks of bone one above the other, C1 at the top, T2 at the bottom, and a rib beside each, of which a mask tells nothing."""
    labels, hu = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 40, np.float32)
    for level in range(1, 10):
        z = slice(60 - 6 * level, 65 - 6 * level)
        hu[z, 12:20, 12:20] = hu[z, 12:20, 26:29] = 500
        if level in levels:
            labels[z, 12:20, 12:20] = level
    return LabelMap(labels, GRID), Volume(hu, GRID)


def at(classes: NDArray[np.uint8], level: int, x: int) -> int:
    return int(classes[62 - 6 * level, 16, x])


def test_what_a_mask_names_is_known_and_bone_beside_it_is_none_of_c1_to_c7() -> None:
    mask, picture = neck()

    found = known_classes(mask, picture)

    assert [at(found, level, 16) for level in range(1, 10)] == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert {at(found, level, 27) for level in range(1, 10)} == {UNNAMED_CLASS}
    assert at(found, 4, 3) == 0


@pytest.mark.parametrize(
    ("named", "unsure"), [(range(1, 8), []), (range(1, 6), [6, 7, 8, 9]), (range(3, 8), [1, 2]), ((1, 2, 4, 5, 6, 7), [3])]
)
def test_bone_where_a_mask_leaves_levels_out_may_be_anything(named: range, unsure: list[int]) -> None:
    mask, picture = neck(named)

    found = known_classes(mask, picture)

    for level in range(1, 10):
        if level not in named:
            assert at(found, level, 16) == (UNKNOWN_CLASS if level in unsure else UNNAMED_CLASS)
        assert at(found, level, 3) == 0


def test_marrow_that_bone_encloses_goes_with_it_and_brain_does_not() -> None:
    mask, picture = neck()
    hu = picture.hu.copy()
    hu[0:4, 22:31, 2:11] = 500  # a vertebra far below, with soft marrow
    hu[1:3, 23:30, 3:10] = 40
    hu[56:60, 2:30, 2:30] = 500  # a skull
    hu[56:60, 3:29, 3:29] = 40

    found = known_classes(mask, Volume(hu, GRID))

    assert found[2, 26, 6] == UNNAMED_CLASS
    assert found[58, 24, 16] == 0
    assert found[58, 2, 16] == UNNAMED_CLASS


def test_where_a_mask_has_ended_nothing_is_known() -> None:
    mask, picture = neck()
    part = GRID.part((0, 0, 0), (60, 32, 24))

    found = known_classes(LabelMap(mask.labels[..., :24].copy(), part), picture)

    assert (found[..., 24:] == UNKNOWN_CLASS).all()
    assert (found[..., :24] != UNKNOWN_CLASS).all()


def test_pictures_cover_a_scan_from_end_to_end_around_the_spine() -> None:
    mask, _ = neck()
    long = Grid.upright((30, 10, 0), (300, 40, 40), SPEC.spacing_mm)

    grids = picture_grids(long, mask, SHAPE, SPEC)

    heights = sorted(float(grid.corners_mm()[side, 2]) for grid in grids for side in (0, -1))
    assert (heights[0], heights[-1]) == (-375, 375)
    assert np.diff([grid.centre_mm[2] for grid in grids]).max() <= 75
    spine = GRID.world(np.argwhere(mask.labels > 0)).mean(axis=0)
    assert all(np.abs(grid.centre_mm[:2] - spine[:2]).max() < 1 for grid in grids)
    assert len(picture_grids(GRID, mask, (70, 32, 32), SPEC)) == 1


def test_patients_are_predicted_in_windows_along_the_middle_as_they_are() -> None:
    mask, picture = neck()
    image = LabelledImage(picture.hu.astype(np.int16), mask.labels)

    found = patient_windows([image], SPEC)

    assert {classes.shape for _, classes in found} == {SPEC.size}
    assert set(np.concatenate([np.unique(classes) for _, classes in found])) == set(range(10))
    np.testing.assert_array_equal(found[0][1], mask.labels[:16, 8:24, 8:24])
    assert found[0][0].max() == pytest.approx(0.5)


def test_a_study_is_made_into_pictures_once_and_beyond_its_scan_there_is_nothing(tmp_path: Path) -> None:
    data = write_data_set(tmp_path / "data", [stack(1, 2)])
    cases = read_dataset(data).cases
    told: list[str] = []

    found = [masked_images(cases, (40, 40, 40), SPEC, tmp_path / "cache", told.append) for _ in range(2)]

    assert len(list((tmp_path / "cache" / "entries").iterdir())) == 1
    assert told == ["mask 1 of 1"] * 2
    image, again = found[0][0], found[1][0]
    np.testing.assert_array_equal(image.classes, again.classes)
    assert set(np.unique(image.classes)) >= set(range(8))
    assert np.median(image.hu[image.classes == 2]) > 400
    assert (image.classes[image.hu == -1000] == 0).all()
