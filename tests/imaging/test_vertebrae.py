"""Networks that classify vertebra by vertebra are fed upright crops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.geometry import Grid
from cspine.imaging.vertebrae import (
    Pose,
    cell_grid,
    classified_slices,
    frame,
    greyed,
    mask_grid,
    own_cells,
    smooth_mask,
    vertebra_grid,
    vertebra_input,
)
from cspine.specs import VertebraSpec

SPEC = VertebraSpec(spacing_mm=(2.0, 1.0, 1.0), depth=12, size=(32, 40), slices=4, neighbours=1, window_hu=(-200.0, 1800.0))


def axis(*parts: float) -> tuple[float, float, float]:
    x, y, z = np.array(parts) / np.linalg.norm(parts)
    return float(x), float(y), float(z)


TILTED = Pose(centre_mm=(12.0, -30.0, 250.0), axis=axis(0.2, -0.5, 1.0), height_mm=13.0)
AXES = st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9)).map(lambda lean: axis(*lean, 1.0))


@given(AXES)
def test_the_frame_of_a_vertebra_is_right_angled_and_right_handed_and_follows_its_axis(up: tuple[float, float, float]) -> None:
    axes = frame(up)

    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes[:, 0], up)
    np.testing.assert_allclose(np.cross(axes[:, 2], axes[:, 1]), axes[:, 0], atol=1e-12)
    assert axes[0, 2] > 0
    assert axes[1, 1] > 0


def test_an_upright_vertebra_is_cut_along_the_patient() -> None:
    np.testing.assert_allclose(frame((0.0, 0.0, 1.0)), np.eye(3)[:, ::-1])


def test_a_crop_lies_around_its_vertebra_with_what_is_spare_around_it() -> None:
    grid, wider = vertebra_grid(TILTED, SPEC), vertebra_grid(TILTED, SPEC, (2, 4, 6))

    assert (grid.shape, wider.shape) == ((12, 32, 40), (16, 40, 52))
    np.testing.assert_allclose(grid.centre_mm, TILTED.centre_mm)
    np.testing.assert_allclose(grid.affine[:3, :3], frame(TILTED.axis) * SPEC.spacing_mm)
    np.testing.assert_allclose(wider.world((2, 4, 6)), grid.world((0, 0, 0)))


def middles(grid: Grid, slices: list[int], side: int) -> np.ndarray:
    """Returns the mean of the world coordinates of blocks of ``side`` x ``side`` pixels of some slices."""
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[slices]
    count, rows, columns, _ = world.shape
    return np.asarray(world.reshape(count, rows // side, side, columns // side, side, 3).mean(axis=(2, 4)))


def test_a_pixel_of_a_mask_lies_in_the_middle_of_its_pixels() -> None:
    crop = vertebra_grid(TILTED, SPEC)
    mask = mask_grid(crop)

    assert mask.shape == (12, 16, 20)
    np.testing.assert_allclose(mask.world(np.moveaxis(np.indices(mask.shape), 0, -1)), middles(crop, list(range(12)), 2))


@pytest.mark.parametrize("height", [5.0, 13.0, 21.0])
def test_a_cell_lies_in_the_middle_of_its_pixels(height: float) -> None:
    crop, chosen = vertebra_grid(TILTED, SPEC), classified_slices(height, SPEC)
    cells = cell_grid(crop, chosen)

    assert cells.shape == (4, 4, 5)
    np.testing.assert_allclose(cells.world(np.moveaxis(np.indices(cells.shape), 0, -1)), middles(crop, chosen.tolist(), 8))


def test_the_cells_of_a_single_slice_lie_on_it() -> None:
    spec = replace(SPEC, slices=1)
    crop = vertebra_grid(TILTED, spec)
    chosen = classified_slices(TILTED.height_mm, spec)

    np.testing.assert_allclose(cell_grid(crop, chosen).world((0, 0, 0)), middles(crop, chosen.tolist(), 8)[0, 0, 0])


@pytest.mark.parametrize(("height", "chosen"), [(13.0, [3, 5, 7, 9]), (1.0, [4, 5, 6, 7]), (90.0, [1, 4, 7, 10])])
def test_slices_are_classified_evenly_over_a_vertebra_and_a_little_more(height: float, chosen: list[int]) -> None:
    np.testing.assert_array_equal(classified_slices(height, SPEC), chosen)


@pytest.mark.parametrize(("height", "chosen"), [(13.0, [4, 6, 8, 10]), (90.0, [2, 5, 8, 10])])
def test_raised_slices_are_nearer_the_head_as_far_as_the_crop_goes(height: float, chosen: list[int]) -> None:
    np.testing.assert_array_equal(classified_slices(height, SPEC, 1), chosen)


@given(st.floats(0, 200), st.integers(1, 8), st.integers(0, 2), st.integers(0, 9))
def test_whatever_its_height_no_slice_is_classified_twice_or_without_its_neighbours(
    height: float, slices: int, neighbours: int, more: int
) -> None:
    depth = slices + 2 * neighbours + more
    chosen = classified_slices(height, replace(SPEC, depth=depth, slices=slices, neighbours=neighbours))

    apart = np.diff(chosen)
    assert chosen.shape == (slices,)
    assert np.all(apart >= 1)
    assert np.ptp(apart) <= 1 if slices > 1 else True
    assert chosen[0] >= neighbours
    assert chosen[-1] <= depth - 1 - neighbours


def test_grey_is_the_window_in_255_steps() -> None:
    np.testing.assert_array_equal(
        greyed(np.array([-900.0, -200.0, 800.0, 804.0, 1800.0, 3000.0]), SPEC), [0, 0, 128, 128, 255, 255]
    )
    assert greyed(np.zeros(1), SPEC).dtype == np.uint8


def test_a_slice_is_fed_between_its_neighbours_from_the_feet_with_the_mask_last() -> None:
    grey = np.broadcast_to(np.arange(12, dtype=np.uint8)[:, None, None] * 10, (12, 32, 40))
    mask = np.zeros((12, 16, 20), bool)
    mask[5, 8:, 10:] = True

    fed = vertebra_input(grey, smooth_mask(mask, replace(SPEC, mask_blur_mm=0.0)), np.array([1, 5, 6, 10]), SPEC)

    assert fed.shape == SPEC.shape[1:]
    assert fed.dtype == np.float32
    np.testing.assert_allclose(fed[:, 3, 3, :3] * 255, [[0, 10, 20], [40, 50, 60], [50, 60, 70], [90, 100, 110]], rtol=1e-6)
    assert fed[1, 16:, 20:, 3].min() == 1
    assert fed[..., 3].sum() == 16 * 20


def test_the_border_of_a_mask_is_smooth_and_a_network_may_do_without() -> None:
    grey, mask = np.zeros((12, 32, 40), np.uint8), np.zeros((12, 16, 20), bool)
    mask[:, 8:] = True

    smooth, without = (
        vertebra_input(grey, smooth_mask(mask, spec), np.array([5] * 4), spec)[0, :, 0, 3]
        for spec in (SPEC, replace(SPEC, masked=False))
    )

    assert np.all(np.diff(smooth) >= 0)
    assert 0.2 < smooth[15] < 0.5 < smooth[16] < 0.8
    assert smooth[0] == pytest.approx(0, abs=1e-6)
    assert smooth[-1] == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(without, 1)


def test_a_cell_is_a_vertebra_s_own_from_two_hundredths_of_it_on() -> None:
    crop = np.zeros((1, 16, 16, 4), np.float32)
    crop[0, 0, 0, 3], crop[0, 0, 8:10, 3], crop[0, 8:, 8:, :3] = 1.0, 1.0, 1.0

    np.testing.assert_array_equal(own_cells(crop, SPEC), [[[False, True], [False, False]]])


def test_cells_beside_a_vertebra_are_its_own_where_they_count_enough() -> None:
    crop = np.zeros((2, 32, 32, 4), np.float32)
    crop[0, :8, :8, 3] = 0.1

    near = [[True, True, False, False], [True, True, False, False], [False] * 4, [False] * 4]
    np.testing.assert_array_equal(own_cells(crop, replace(SPEC, neighbour_weight=0.3)), [near, np.zeros((4, 4), bool)])
    np.testing.assert_array_equal(own_cells(crop, replace(SPEC, neighbour_weight=0.1)).sum(), 1)


def test_a_margin_spreads_what_is_classified_beyond_the_vertebra() -> None:
    np.testing.assert_array_equal(classified_slices(9.0, replace(SPEC, margin_mm=7.0)), classified_slices(13.0, SPEC))
