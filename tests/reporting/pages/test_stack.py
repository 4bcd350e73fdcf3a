import base64
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.detection import Detector
from cspine.evidence import Prediction
from cspine.imaging import sample
from cspine.reporting.pages.packing import HOUNSFIELD, coded, packed_slices
from cspine.reporting.pages.stack import ViewerStack, make_stack, slice_at, stack_grid
from cspine.reporting.style import LEVEL_COLOURS
from cspine.results import StudyResult
from cspine.study import Study
from cspine.volume import Volume
from tests.coded import coded_volume, shade_hu, study_of
from tests.reporting.pages.conftest import HOT_MM
from tests.reporting.restored import stored_otherwise, tilted


def _unpacked(text: str, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)


def _codes(text: str, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Returns what a browser makes of packed slices, pixel after pixel."""
    codes = _unpacked(text, shape).astype(int)
    wide = np.zeros((shape[0], shape[1] + 1, shape[2] + 1), int)
    for y, x in np.ndindex(shape[1:]):
        left, upper, corner = wide[:, y + 1, x], wide[:, y, x + 1], wide[:, y, x]
        guess = np.clip(left + upper - corner, np.minimum(left, upper), np.maximum(left, upper))
        wide[:, y + 1, x + 1] = (codes[:, y, x] + guess) % 256
    return wide[:, 1:, 1:].astype(np.uint8)


@pytest.fixture(scope="module")
def made(prediction: Prediction, broken_neck: Study) -> ViewerStack:
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None
    return make_stack(prediction, broken_neck, grid)


@settings(max_examples=25)
@given(arrays.arrays(np.uint8, (2, 4, 5), elements=st.integers(0, 250)))
def test_packed_slices_come_back_as_they_were(codes: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(_codes(packed_slices(codes), (2, 4, 5)), codes)


@given(st.floats(-1500, 4000, width=32))
def test_a_code_stands_for_what_it_was_made_of(hu: float) -> None:
    code = int(coded(np.array([hu], np.float32))[0])

    step = 40 if hu < -200 else 8 if hu < 300 else 16
    assert abs(float(HOUNSFIELD[code]) - min(max(hu, -1000), 2976)) <= step / 2 + 0.5


def test_there_are_as_many_codes_as_a_byte_holds_at_most() -> None:
    assert len(HOUNSFIELD) <= 256
    assert np.all(np.diff(HOUNSFIELD) > 0)


def test_slices_run_from_head_to_feet_with_the_images_that_are_stored(made: ViewerStack, broken_neck: Study) -> None:
    numbers = [int(name.removeprefix("image ")) for name in made.names]
    assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1))
    assert numbers[0] <= broken_neck.volume.grid.shape[0]
    assert [level.name for level in sorted(made.levels, key=lambda level: level.key)] == ["C2", "C3", "C4", "C5", "C6", "C7"]
    assert made.start == next(level.key for level in made.levels if level.name == "C4")


def test_slices_show_what_is_stored(made: ViewerStack, prediction: Prediction, broken_neck: Study) -> None:
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None
    shown = HOUNSFIELD[_codes(made.voxels, made.shape)]

    stored = np.clip(sample(broken_neck.volume, grid).hu[::-1], -1000, 2976)

    assert np.max(np.abs(shown - stored)) <= 20.5
    for level in made.levels:
        picture = shown[level.key]
        left, top, width, height = (round(length) for length in level.box or (0, 0, 0, 0))
        inside = picture[top : top + height, left : left + width]
        assert np.median(inside[inside > 300]) == pytest.approx(shade_hu(Level[level.name]), abs=20)


def test_labels_and_heat_lie_over_the_slices(made: ViewerStack) -> None:
    assert made.labels is not None
    assert made.heat is not None
    assert made.heat_shape is not None
    labels, heat = _unpacked(made.labels, made.shape), _unpacked(made.heat, made.heat_shape)

    key = next(level.key for level in made.levels if level.name == "C4")
    middle = next(level for level in made.levels if level.name == "C4")
    left, top, width, height = middle.box or (0, 0, 0, 0)
    assert labels[key, round(top + height / 2), round(left + width / 2)] == Level.C4
    assert set(np.unique(labels)) <= set(range(9))
    assert np.unravel_index(np.argmax(heat), heat.shape)[0] == pytest.approx(key, abs=2)
    assert heat.max() > 200


def test_the_crosshair_goes_to_the_hottest_point_of_a_level_and_labels_have_the_colours_of_a_segmentation(
    made: ViewerStack, prediction: Prediction, broken_neck: Study
) -> None:
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None
    level = next(level for level in made.levels if level.name == "C4")

    x, y, _ = grid.world((0, level.row, level.column))

    assert (x, y) == pytest.approx(HOT_MM[:2], abs=2.6)  # the heat map has voxels of 2.5 mm
    assert level.first <= level.middle <= level.last
    assert made.colours[:7] == tuple(LEVEL_COLOURS[level] for level in CERVICAL)


def test_the_stack_keeps_away_from_the_face(detector: Detector) -> None:
    study = study_of(coded_volume(margin_mm=90.0))
    result = detector(study)
    grid = stack_grid(study, result)
    assert grid is not None

    corners, centres = grid.corners_mm(), np.array([finding.centre_mm for finding in result.levels])
    assert centres[:, 1].min() - corners[:, 1].min() <= 40.5
    assert corners[:, 2].max() - centres[:, 2].max() <= 18 + 7.5 + 3
    assert np.all(corners[:, 2].min() < centres[:, 2])


def test_a_page_has_no_more_voxels_than_it_can_carry(detector: Detector) -> None:
    coarse = coded_volume()
    fine = coarse.grid.with_spacing((0.8, 0.5, 0.5))

    grid = stack_grid(study_of(Volume(np.zeros(fine.shape, np.float32), fine)), detector(study_of(coarse)))

    assert grid is not None
    assert np.prod(grid.shape) <= 5_700_000
    assert grid.spacing_mm[0] == pytest.approx(0.8)
    assert 0.5 <= grid.spacing_mm[1] < 0.7


def test_a_slice_beyond_the_stack_is_its_end(prediction: Prediction, broken_neck: Study) -> None:
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None

    assert slice_at(grid, 1e4) == 0
    assert slice_at(grid, -1e4) == grid.shape[0] - 1


def test_without_levels_there_is_no_stack(rejected_result: StudyResult, broken_neck: Study) -> None:
    assert stack_grid(broken_neck, rejected_result) is None


@pytest.mark.parametrize("orientation", [(2, 0, 1), (1, 0, 2)])
def test_an_axial_slice_of_a_scan_that_is_stored_otherwise_is_called_reformatted_and_no_image(
    prediction: Prediction, broken_neck: Study, orientation: tuple[int, int, int]
) -> None:
    study = stored_otherwise(broken_neck, orientation)
    grid = stack_grid(study, prediction.result)
    assert grid is not None

    made = make_stack(prediction, study, grid)

    assert made.names[:2] == (f"axial, reformatted, 1 of {grid.shape[0]}", f"axial, reformatted, 2 of {grid.shape[0]}")
    assert made.key_words == "look here first"


def test_slices_of_a_tilted_scan_are_not_called_its_images(prediction: Prediction, broken_neck: Study) -> None:
    study = tilted(broken_neck, 10.0)
    grid = stack_grid(study, prediction.result)
    assert grid is not None

    assert {name.rsplit(" ", 1)[0] for name in make_stack(prediction, study, grid).names} == {"nearest image"}
