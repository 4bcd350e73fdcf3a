"""Grids say where voxels lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.errors import GeometryError
from cspine.geometry import Grid
from tests.grids import grids


@given(grids(), st.tuples(*[st.floats(-200, 200)] * 3))
def test_a_world_point_comes_back_from_its_index(grid: Grid, point: tuple[float, float, float]) -> None:
    back = grid.world(grid.index(point))

    np.testing.assert_allclose(back, point, atol=1e-6)


@given(grids())
def test_canonical_moves_no_voxel_and_runs_to_head_back_and_left(grid: Grid) -> None:
    canonical = grid.canonical()

    assert sorted(canonical.shape) == sorted(grid.shape)
    np.testing.assert_allclose(np.sort(canonical.corners_mm(), axis=0), np.sort(grid.corners_mm(), axis=0), atol=1e-6)
    assert np.all(np.diag(canonical.directions[::-1]) > 0)
    assert canonical.canonical().agrees(canonical)


@given(grids(), st.tuples(*[st.floats(0.3, 5)] * 3))
def test_other_voxels_cover_the_same_box(grid: Grid, spacing: tuple[float, float, float]) -> None:
    other = grid.with_spacing(spacing)

    np.testing.assert_allclose(other.centre_mm, grid.centre_mm, atol=1e-6)
    np.testing.assert_allclose(other.spacing_mm, spacing, rtol=1e-9)
    assert np.all(np.asarray(other.extent_mm) >= np.asarray(grid.extent_mm) - 1e-4)


def test_an_upright_grid_runs_to_head_back_and_left_around_its_centre() -> None:
    grid = Grid.upright((1, 2, 3), (5, 4, 3), (2.0, 1.0, 0.5))

    np.testing.assert_allclose(grid.centre_mm, (1, 2, 3))
    np.testing.assert_allclose(grid.world((1, 0, 0)) - grid.world((0, 0, 0)), (0, 0, 2))
    np.testing.assert_allclose(grid.world((0, 1, 0)) - grid.world((0, 0, 0)), (0, 1, 0))
    np.testing.assert_allclose(grid.world((0, 0, 1)) - grid.world((0, 0, 0)), (0.5, 0, 0))
    assert grid.canonical().agrees(grid)


def test_the_outer_faces_belong_to_the_box() -> None:
    grid = Grid.upright((0, 0, 0), (3, 3, 3), (1, 1, 1))

    assert grid.contains([(1.5, 0, 0), (1.6, 0, 0)]).tolist() == [True, False]


def test_a_part_lies_where_it_was_cut() -> None:
    grid = Grid.upright((0, 0, 0), (9, 9, 9), (2, 1, 1))

    part = grid.part((1, 2, 3), (2, 2, 2))

    np.testing.assert_allclose(part.world((0, 0, 0)), grid.world((1, 2, 3)))
    np.testing.assert_allclose(part.world((1, 1, 1)), grid.world((2, 3, 4)))


def test_grids_in_different_frames_do_not_agree() -> None:
    grid = Grid((2, 2, 2), np.eye(4), "1.2.3")

    assert not grid.agrees(Grid((2, 2, 2), np.eye(4), "1.2.4"))
    assert grid.agrees(Grid((2, 2, 2), np.eye(4)))


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 2), np.eye(4), "three positive sizes"),
        ((2, 0, 2), np.eye(4), "three positive sizes"),
        ((1 << 12, 1 << 12, 1 << 12), np.eye(4), "2\\^33 voxels at most"),
        ((2, 2, 2), np.eye(3), "4 x 4 affine"),
        ((2, 2, 2), np.full((4, 4), np.nan), "finite"),
        ((2, 2, 2), np.diag([1.0, 1, 0, 1]), "must span space"),
    ],
)
def test_a_grid_that_contradicts_itself_is_refused(shape: tuple[int, ...], affine: np.ndarray, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        Grid(shape, affine)  # type: ignore[arg-type]


def test_spacing_must_be_positive() -> None:
    with pytest.raises(GeometryError, match="three positive millimetres"):
        Grid((2, 2, 2), np.eye(4)).with_spacing((1, 0, 1))


def test_the_affine_of_a_grid_cannot_be_changed() -> None:
    grid = Grid((2, 2, 2), np.eye(4))

    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2
