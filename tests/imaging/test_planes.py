import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.imaging.planes import labels_on_images
from cspine.study import SourceSlice, Study
from cspine.volume import LabelMap, Volume
from tests.grids import grids

_SHAPE = (5, 7, 6)


def _study(grid: Grid, places: tuple[Vector, ...] = ()) -> Study:
    sources = tuple(SourceSlice("1.2", f"1.2.{number}", place) for number, place in enumerate(places))
    return Study("neck", Volume(np.zeros(grid.shape, np.float32), grid), None, None, "axial", sources)


def _on_all_images(labels: LabelMap, study: Study) -> NDArray[np.uint8]:
    found = labels_on_images(labels, study)
    out = np.zeros((len(study.first_pixels_mm()), *study.volume.grid.shape[1:]), np.uint8)
    out[found.places] = found.labels
    return out


def _labels(grid: Grid, seed: int) -> LabelMap:
    """Returns labels with much background, in a corner of the grid too: the labelled box is smaller than the grid."""
    values = np.random.default_rng(seed).integers(0, 5, grid.shape)
    return LabelMap(np.where(np.indices(grid.shape).sum(axis=0) > 6, values, 0).astype(np.uint8), grid)


@settings(deadline=None)
@given(grids(_SHAPE), grids((4, 5, 6), shear=False), st.integers(0, 9))
def test_on_an_even_scan_these_are_the_labels_of_its_grid(scan: Grid, own: Grid, seed: int) -> None:
    affine = own.affine.copy()
    affine[:3, 3] += scan.centre_mm - own.centre_mm
    labels = _labels(Grid(own.shape, affine), seed)

    found = _on_all_images(labels, _study(scan))

    index = labels.grid.index(scan.world(np.moveaxis(np.indices(scan.shape), 0, -1)))
    sure = np.all(np.abs(np.abs(index - np.rint(index)) - 0.5) > 1e-6, axis=-1)
    np.testing.assert_array_equal(found[sure], sample(labels, scan).labels[sure])


def test_an_image_off_the_even_grid_is_labelled_where_it_lies() -> None:
    labels = LabelMap(
        np.arange(1, 11, dtype=np.uint8).repeat(4).reshape(10, 2, 2), Grid.upright((0, 0, 4.5), (10, 2, 2), (1, 2, 2))
    )
    heights = (0.2, 1.9, 6.6)
    scan = Grid.upright((0.0, 0.0, 3.3), (3, 2, 2), (3.0, 1.5, 1.5))

    found = _on_all_images(labels, _study(scan, tuple((-0.75, -0.75, height) for height in heights)))

    assert [np.unique(image).tolist() for image in found] == [[1], [3], [8]]


def test_background_alone_is_background() -> None:
    grid = Grid.upright((0, 0, 0), (3, 4, 5), (1, 1, 1))

    found = labels_on_images(LabelMap(np.zeros(grid.shape, np.uint8), grid), _study(grid))

    assert (len(found.places), found.labels.shape) == (0, (0, 4, 5))


def test_images_beside_all_labels_take_no_room() -> None:
    grid = Grid.upright((0, 0, 0), (20, 4, 5), (1, 1, 1))
    labels = np.zeros(grid.shape, np.uint8)
    labels[7:9, 1:3, 2:4] = 3

    found = labels_on_images(LabelMap(labels, grid), _study(grid))

    assert found.labels.shape[0] == len(found.places) < 6
    np.testing.assert_array_equal(_on_all_images(LabelMap(labels, grid), _study(grid)), labels)


@pytest.mark.parametrize("places", [(), ((1.0, 2.0, 3.0), (1.0, 2.0, 5.5), (1.5, 2.0, 9.0))])
def test_the_planes_of_images_differ_in_their_first_pixels_only(places: tuple[Vector, ...]) -> None:
    study = _study(Grid.upright((0, 0, 0), (3, 4, 5), (2.0, 1.0, 1.5)), places)

    planes = [study.plane(index) for index in range(3)]

    np.testing.assert_allclose(study.first_pixels_mm(), [plane.world((0, 0, 0)) for plane in planes])
    for plane in planes[1:]:
        np.testing.assert_array_equal(plane.affine[:, :3], planes[0].affine[:, :3])


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_the_plane_of_an_image_has_its_normal_for_an_axis(tilt: float) -> None:
    affine = Grid.upright((0, 0, 0), (3, 4, 5), (2.0, 1.0, 1.5)).affine.copy()
    affine[1, 0] = tilt
    study = _study(Grid((3, 4, 5), affine, "1.2.9"))

    plane = study.plane(1)

    np.testing.assert_allclose(plane.directions[:, 0], (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(plane.world((0, 2, 3)), study.volume.grid.world((1, 2, 3)))
    assert plane.shape == (1, 4, 5)
    assert plane.frame_of_reference_uid == "1.2.9"
