"""The one way to sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cspine.geometry import Grid, Shape, Vector
from cspine.imaging import around, sample, sampling
from cspine.volume import AIR_HU, LabelMap, Volume
from tests.grids import grids


def _linear_field(grid: Grid) -> Volume:
    """Returns HU that grow linearly in the world: any right resampling keeps them."""
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    return Volume((grid.world(index) @ (3.0, -2.0, 5.0) + 40).astype(np.float32), grid)


def _noise(grid: Grid, seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).normal(0, 100, grid.shape).astype(np.float32), grid)


def _around(centre_mm: ArrayLike, matrix: NDArray[np.float64], shape: Shape) -> Grid:
    """Returns the grid with these steps whose middle is at ``centre_mm``."""
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = np.asarray(centre_mm) - matrix @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)


def _inside(grid: Grid, source: Grid, margin: float) -> NDArray[np.bool_]:
    """Returns voxels of ``grid`` that lie in ``source`` by ``margin`` voxels of the source at least."""
    index = source.index(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)))
    inside: NDArray[np.bool_] = np.all((index >= margin) & (index <= np.asarray(source.shape) - 1 - margin), axis=-1)
    return inside


@given(grids(shape=(12, 13, 14)), grids(shape=(6, 7, 8)))
@settings(max_examples=60, deadline=None)
def test_a_linear_field_survives_any_pair_of_grids(source: Grid, target: Grid) -> None:
    target = _around(source.centre_mm, target.affine[:3, :3], target.shape)
    step = np.abs(np.linalg.inv(source.affine[:3, :3]) @ target.affine[:3, :3]).sum(axis=1).max()

    out = sample(_linear_field(source), target)

    inside = _inside(target, source, margin=2 + 2 * step)
    np.testing.assert_allclose(out.hu[inside], _linear_field(target).hu[inside], atol=0.05)


@given(grids(shape=(5, 6, 7)))
@settings(max_examples=40, deadline=None)
def test_the_way_back_from_the_canonical_grid_is_exact(grid: Grid) -> None:
    volume = _noise(grid)

    there = sample(volume, grid.canonical())
    back = sample(there, grid)

    np.testing.assert_array_equal(back.hu, volume.hu)
    np.testing.assert_allclose(np.sort(there.hu.ravel()), np.sort(volume.hu.ravel()))


@given(grids(shape=(16, 17, 18), shear=False), st.tuples(*[st.floats(0.35, 1.0)] * 3))
@settings(max_examples=30, deadline=None)
def test_smooth_images_come_back_from_any_finer_grid(grid: Grid, fraction: Vector) -> None:
    smooth = ndimage.gaussian_filter(_noise(grid).hu, 3) * 30
    volume = Volume(smooth, grid)
    z, y, x = (s * f for s, f in zip(grid.spacing_mm, fraction, strict=True))

    back = sample(sample(volume, grid.with_spacing((z, y, x))), grid)

    middle = (slice(2, -2),) * 3
    assert np.abs(back.hu - smooth)[middle].max() < 0.08 * np.ptp(smooth)


@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_a_spot_stays_where_it_is_in_the_patient(degrees: float) -> None:
    grid = Grid.upright((10, -20, 30), (21, 31, 41), (2.0, 1.0, 0.7))
    spot = grid.world((8, 20, 11))
    away = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)) - spot
    volume = Volume((1000 * np.exp(-np.sum(away**2, axis=-1) / 8) - 1000).astype(np.float32), grid)
    straight = Grid.upright((0, 0, 0), (30, 30, 30), (1, 1, 1)).affine[:3, :3]
    turned = Rotation.from_euler("x", degrees, degrees=True).as_matrix() @ straight
    target = _around((4, -14, 25), turned, (30, 30, 30))

    out = sample(volume, target)

    weight = out.hu + 1000
    found = target.world([float((weight * axis).sum() / weight.sum()) for axis in np.indices(target.shape)])
    np.testing.assert_allclose(found, spot, atol=0.05)


def test_outside_is_air_and_a_border_voxel_fades_into_it_linearly() -> None:
    grid = Grid.upright((0, 0, 0), (3, 3, 3), (1, 1, 1))
    volume = Volume(np.zeros(grid.shape, dtype=np.float32), grid)

    out = sample(volume, Grid.upright((0, 0, 2.25), (1, 1, 1), (0.5, 0.5, 0.5)))
    half = sample(volume, Grid.upright((0, 0, 1.5), (1, 1, 1), (0.5, 0.5, 0.5)))

    assert out.hu.item() == AIR_HU
    assert half.hu.item() == pytest.approx(AIR_HU / 2)


def test_the_separable_and_the_oblique_way_agree() -> None:
    volume = _noise(Grid.upright((0, 0, 0), (12, 14, 16), (1.5, 1, 1)))
    target = Grid.upright((0.3, -0.4, 0.7), (12, 12, 12), (0.9, 0.8, 0.7))
    turned = target.affine.copy()
    turned[0, 0] += 1e-3  # more than the tolerance of the separable way, less than it matters

    ours = sample(volume, target)
    other = sample(volume, Grid(target.shape, turned))

    np.testing.assert_allclose(ours.hu, other.hu, atol=3)


def test_a_plate_thinner_than_the_new_voxels_is_averaged_and_not_skipped() -> None:
    grid = Grid.upright((0, 0, 0), (60, 8, 8), (0.5, 1, 1))
    hu = np.zeros(grid.shape, dtype=np.float32)
    hu[31] = 1000

    sums = [sample(Volume(hu, grid), Grid.upright((0, 0, shift), (9, 4, 4), (3, 1, 1)), fill=0).hu.sum() for shift in (0, 0.7, 1.4)]

    np.testing.assert_allclose(sums, 1000 * 16 * 0.5 / 3, rtol=0.1)


def test_labels_take_the_nearest_voxel_and_never_mix() -> None:
    grid = Grid.upright((0, 0, 0), (4, 4, 4), (2, 2, 2))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[1:3, 1:3, 1:3] = 7

    fine = sample(LabelMap(labels, grid), grid.with_spacing((0.5, 0.5, 0.5)))
    back = sample(fine, grid)

    assert set(np.unique(fine.labels)) == {0, 7}
    assert (fine.labels == 7).sum() == 8 * 4**3
    np.testing.assert_array_equal(back.labels, labels)


@given(grids(shape=(6, 7, 8)), grids(shape=(9, 9, 9)))
@settings(max_examples=40, deadline=None)
def test_labels_lie_where_a_search_by_hand_finds_them(source: Grid, target: Grid) -> None:
    target = _around(source.centre_mm, target.affine[:3, :3], target.shape)
    labels = np.random.default_rng(1).integers(1, 20, source.shape).astype(np.uint8)

    out = sample(LabelMap(labels, source), target).labels

    index = source.index(target.world(np.moveaxis(np.indices(target.shape), 0, -1)))
    clear = np.all(np.abs(index - np.floor(index) - 0.5) > 0.02, axis=-1)
    nearest = np.round(index).astype(int)
    inside = np.all((nearest >= 0) & (nearest < source.shape), axis=-1)
    by_hand = np.where(inside, labels[tuple(np.clip(nearest, 0, np.asarray(source.shape) - 1)[..., a] for a in range(3))], 0)
    np.testing.assert_array_equal(out[clear], by_hand[clear])


def test_sampling_far_away_gives_fill_only() -> None:
    volume = _noise(Grid.upright((0, 0, 0), (4, 4, 4), (1, 1, 1)))

    out = sample(volume, Grid.upright((500, 0, 0), (3, 3, 3), (0.7, 0.7, 0.7)), fill=-5)

    assert np.all(out.hu == -5)


@pytest.mark.parametrize("axis", range(3))
def test_a_grid_much_wider_than_the_scan_gives_fill_around_it(axis: int) -> None:
    source = _noise(Grid.upright((0, 0, 0), (8, 8, 8), (1, 1, 1)))
    shape = [8, 8, 8]
    shape[axis] = 400

    wide = sample(source, Grid.upright((0.0, 0.0, 0.0), (shape[0], shape[1], shape[2]), (0.8, 0.8, 0.8)))

    outside = np.moveaxis(wide.hu, axis, 0)
    assert np.all(outside[:190] == AIR_HU)
    assert np.all(outside[210:] == AIR_HU)
    assert np.all(outside[198:202] > AIR_HU / 2)


def _dense(source: Grid, target: Grid, axis: int) -> NDArray[np.float64]:
    """Returns what each voxel along one axis gives to each target, by the rule and without bands: ``(targets, voxels)``."""
    step = target.spacing_mm[axis] / source.spacing_mm[axis]
    places = source.index(target.world(np.eye(3)[axis] * np.arange(target.shape[axis])[:, None]))[:, axis]
    width = np.sqrt(max(step**2 - 1, 0))
    box = (np.arange(2000) + 0.5) / 2000 - 0.5
    away = np.abs(np.arange(source.shape[axis]) - places[:, None, None] - box[:, None] * width)
    return np.asarray(np.clip(1 - away, 0, None).mean(axis=1))


@pytest.mark.parametrize(("below", "above"), [(0, 0), (-2, 0), (0, 3), (-1, 2), (2, -3)])
def test_whole_slices_are_copied_and_those_beyond_the_scan_are_fill(below: int, above: int) -> None:
    source = _noise(Grid.upright((0, 0, 0), (8, 9, 10), (2.0, 1.0, 1.0)))
    plane = source.grid.part((0, 0, 0), (1, 9, 10)).with_spacing((2.0, 0.7, 0.8))
    target = plane.part((below, 0, 0), (8 - below + above, *plane.shape[1:]))

    out = sample(source, target, fill=-7.0)

    for index, slice_hu in enumerate(out.hu, below):
        if 0 <= index < 8:
            alone = Volume(source.hu[index : index + 1], source.grid.part((index, 0, 0), (1, 9, 10)))
            expected = sample(alone, plane.part((index, 0, 0), (1, *plane.shape[1:])), -7.0).hu[0]
            np.testing.assert_allclose(slice_hu, expected, atol=1e-3)
        else:
            np.testing.assert_allclose(slice_hu, -7.0, rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_large_image_in_blocks_and_threads_is_what_the_rule_gives_at_once(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "processors", lambda: threads)
    source = Grid.upright((3, -2, 1), (70, 110, 140), (1.0, 0.6, 0.5))
    target = Grid.upright((2.2, -1.1, 1.3), (30, 25, 70), (2.3, 2.6, 0.8))
    volume = _noise(source)
    assert volume.hu.size > sampling._MANY
    z, y, x = (_dense(source, target, axis) for axis in range(3))

    out = sample(volume, target, fill=0)

    np.testing.assert_allclose(out.hu, np.einsum("az,by,cx,zyx->abc", z, y, x, volume.hu, optimize=True), atol=0.1)


@given(grids(shape=(40, 44, 48), shear=False), st.tuples(*[st.floats(-12, 12)] * 3), st.floats(0.8, 2.5))
@settings(max_examples=30, deadline=None)
def test_several_grids_are_sampled_from_what_lies_around_them_as_from_all_of_it(grid: Grid, off: Vector, step: float) -> None:
    smooth = Volume(ndimage.gaussian_filter(_noise(grid).hu, 2) * 30, grid)
    side = float(step * min(grid.spacing_mm))
    turn = Rotation.from_euler("xyz", (20, -10, 30), degrees=True).as_matrix() * side
    wanted = [_around(grid.centre_mm + sign * np.array(off), turn, (5, 6, 7)) for sign in (-0.5, 0.5)]

    near = around(smooth, wanted)

    for one in wanted:
        inside = _inside(one, grid, margin=3 + 2 * step)
        np.testing.assert_allclose(
            sample(near, one).hu[inside], sample(smooth, one).hu[inside], atol=0.05 * float(np.ptp(smooth.hu))
        )


def test_what_lies_around_far_less_than_a_scan_is_small_and_coarse() -> None:
    grid = Grid.upright((0, 0, 0), (100, 100, 100), (0.5, 0.25, 0.25))
    wanted = [Grid.upright((x, 0, 0), (5, 5, 5), (1.0, 0.5, 0.5)) for x in (-2.0, 2.0)]

    near = around(_noise(grid), wanted)

    np.testing.assert_allclose(near.grid.spacing_mm, (1.0, 0.5, 0.5))
    assert near.hu.size < grid.shape[0] ** 3 / 100
    finer = [Grid.upright((0, 0, 0), (5, 5, 5), (0.1, 0.1, 0.1))]
    np.testing.assert_allclose(around(_noise(grid), [*wanted, *finer]).grid.spacing_mm, grid.spacing_mm)


_SOURCE = Grid.upright((5, -7, 20), (40, 36, 44), (1.0, 0.5, 0.75))


@pytest.mark.parametrize(
    "target",
    [
        _SOURCE,
        _SOURCE.canonical(),
        _SOURCE.with_spacing((2.5, 2.0, 2.0)),
        _SOURCE.with_spacing((0.8, 0.5, 0.6)),
        _SOURCE.part((3, 2, 1), (20, 60, 20)),
        Grid.upright((5, -7, 20), (40, 36, 20), (1.0, 0.5, 2.0)),
        Grid.upright((5, -7, 20), (20, 36, 44), (2.0, 0.5, 0.75)),
        Grid(_SOURCE.shape, _SOURCE.affine[:, [2, 0, 1, 3]]),
        _around((5, -7, 20), Rotation.from_euler("x", 20, degrees=True).as_matrix() * 0.7, (30, 30, 30)),
        _around((5, -7, 20), Rotation.from_euler("x", 20, degrees=True).as_matrix() * 3.0, (30, 30, 30)),
    ],
    ids=["same", "canonical", "coarser", "finer", "part", "wider columns", "thicker", "other order", "oblique", "oblique, coarser"],
)
@pytest.mark.parametrize("fill", [AIR_HU, 0.5])
def test_whole_numbers_are_sampled_like_the_same_in_float32(target: Grid, fill: float) -> None:
    whole = Volume(np.random.default_rng(0).integers(-32768, 32768, _SOURCE.shape, dtype=np.int16), _SOURCE)

    found = sample(whole, target, fill)

    assert found.hu.dtype == np.float32
    assert np.array_equal(found.hu, sample(whole.in_float32(), target, fill).hu)
    near, same = (sample(around(volume, [target]), target, fill).hu for volume in (whole, whole.in_float32()))
    assert np.array_equal(near, same)
