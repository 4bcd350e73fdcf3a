"""Slice networks are fed slices and their neighbours."""

import numpy as np

from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.imaging.slices import network_input, slice_grid
from cspine.specs import SliceSpec
from cspine.volume import Volume

_SPEC = SliceSpec(spacing_mm=(2.0, 1.0, 1.0), size=(64, 48), neighbours=1, window_hu=(-200.0, 1300.0))


def _neck(grid: Grid) -> Volume:
    """Returns a cylinder of tissue around (12, -7) with a bright spot on its left."""
    x, y, z = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    hu = np.where((x - 12) ** 2 + (y + 7) ** 2 < 20**2, 40.0, -1000.0)
    hu[(x - 20) ** 2 + (y + 7) ** 2 + (z - 10) ** 2 < 5**2] = 1300
    return Volume(hu.astype(np.float32), grid)


def test_sagittal_and_axial_storage_give_the_same_slices() -> None:
    axial = Grid.upright((0, 0, 0), (40, 80, 80), (2, 1, 1))
    sagittal = Grid((80, 40, 80), np.array([[-1.0, 0, 0, 39.5], [0, 0, 1, -39.5], [0, -2, 0, 39], [0, 0, 0, 1]]))

    stacks = [sample(volume := _neck(grid), slice_grid(volume, _SPEC)) for grid in (axial, sagittal)]

    assert stacks[0].grid.agrees(stacks[1].grid, tolerance_mm=0.6)
    assert np.abs(stacks[0].hu - stacks[1].hu).mean() < 15


def test_slices_are_centred_on_the_tissue_and_cover_the_height() -> None:
    volume = _neck(Grid.upright((0, 0, 0), (40, 80, 80), (2, 1, 1)))

    grid = slice_grid(volume, _SPEC)

    np.testing.assert_allclose(grid.centre_mm, (12, -7, 0), atol=1.5)
    assert grid.shape == (40, 64, 48)


def test_a_scan_of_air_is_centred_on_its_box() -> None:
    grid = Grid.upright((5, 6, 7), (4, 4, 4), (2, 2, 2))

    centre = slice_grid(Volume(np.full(grid.shape, -1000, dtype=np.float32), grid), _SPEC).centre_mm

    np.testing.assert_allclose(centre, (5, 6, 7))


def test_a_network_sees_windowed_slices_with_their_neighbours() -> None:
    grid = Grid.upright((0, 0, 0), (5, 64, 48), _SPEC.spacing_mm)
    hu = np.broadcast_to(np.array([-400, -200, 550, 1300, 3000], dtype=np.float32)[:, None, None], grid.shape)

    fed = network_input(Volume(np.ascontiguousarray(hu), grid), _SPEC)
    some = network_input(Volume(np.ascontiguousarray(hu), grid), _SPEC, [2, 4])

    assert fed.shape == (5, 64, 48, 3)
    wanted = np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 1], [0.5, 1, 1], [1, 1, 1]])
    np.testing.assert_allclose(fed[:, 0, 0], wanted)
    np.testing.assert_array_equal(some, fed[[2, 4]])
