import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating import locate, locate_levels, predict_scan
from cspine.locating.sliding_window import (
    ScanPrediction,
    covering_grid,
    neck_shape,
    predict_window,
    sliding_windows,
    with_atlas_from,
    with_window,
)
from cspine.phantoms import render, sample_neck
from cspine.results import LevelStatus
from cspine.specs import VolumeSpec
from cspine.volume import Volume

SPEC = VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(32, 48, 48), window_hu=(0.0, 1000.0))


class ByShade:
    """A network to which the density of a bone tells its class: 100 HU a class, the densest nearby where a voxel is half bone."""

    def __init__(self) -> None:
        self.windows = 0

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        self.windows += len(batch)
        densest = ndimage.maximum_filter(batch[..., 0], (1, 3, 3, 3))
        classes = np.where(batch[..., 0] > densest / 2, np.rint(densest * 10), 0)
        near = np.exp(-8 * np.abs(classes[..., None] - np.arange(10)))
        return {"levels": (near / near.sum(axis=-1, keepdims=True)).astype(np.float32)}


class Recording:
    """A network that says C3 everywhere, and which windows it saw."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        self.shapes.append(batch.shape[1:4])
        return {"levels": np.broadcast_to(np.eye(10, dtype=np.float32)[3], (*batch.shape[:4], 10)).copy()}


@pytest.fixture(scope="module")
def scan() -> Volume:
    """Returns a neck whose bones are as dense as their class says."""
    neck = sample_neck(np.random.default_rng(1))
    grid = neck.scan_grid((2.0, 1.6, 1.6), 180.0, above_mm=25.0, below_mm=30.0)
    labels = render(neck, grid).labels.labels
    classes = np.where(labels <= 7, labels, np.where(labels < 20, 8, 9))
    return Volume(np.where(labels > 0, classes * 100.0, 0.0).astype(np.float32), grid)


def test_windows_cover_everything_and_reach_outside_nowhere() -> None:
    for shape in ((32, 48, 48), (33, 100, 49), (80, 90, 200)):
        seen = np.zeros(shape, int)
        for window in sliding_windows(shape, SPEC.size):
            assert seen[window].shape == SPEC.size
            seen[window] += 1
        assert seen.min() >= 1


def test_a_scan_that_is_smaller_than_a_window_is_predicted_once(scan: Volume) -> None:
    start = [n // 2 - 8 for n in scan.grid.shape]
    part = scan.grid.part(start, (16, 16, 16))
    network = ByShade()

    found = predict_scan(sample(scan, part), SPEC, network)

    assert network.windows <= 1
    assert found.probabilities.shape == (*SPEC.size, 10)
    assert found.seen.sum() < found.seen.size / 4
    assert (found.probabilities[~found.seen][:, 0] == 1).all()


def test_windows_without_bone_are_skipped() -> None:
    grid = Grid.upright((0, 0, 0), (80, 80, 80), (2.5, 2.5, 2.5))
    network = ByShade()

    found = locate(Volume(np.full(grid.shape, 40, np.float32), grid), SPEC, network, 0.6)

    assert network.windows == 0
    assert found.vertebrae == ()


@pytest.mark.parametrize(("shape", "seen"), [((33, 48, 48), 1), ((48, 72, 72), 1), ((80, 48, 48), 4), ((40, 80, 50), 3)])
def test_sides_that_are_not_much_longer_than_a_window_are_covered_by_one(shape: tuple[int, int, int], seen: int) -> None:
    grid = Grid.upright((0, 0, 0), shape, SPEC.spacing_mm)
    network = Recording()

    found = predict_scan(Volume(np.full(shape, 500, np.float32), grid), SPEC, network)

    assert len(network.shapes) == seen
    assert all(side % 16 == 0 for window in network.shapes for side in window), "what a network halves four times"
    assert (np.argmax(found.probabilities, axis=-1)[found.seen] == 3).all()
    assert found.seen.sum() >= np.prod(shape)


@pytest.mark.parametrize(("wide", "one_window"), [(48, True), (64, False)])
def test_a_scan_that_one_window_holds_gets_one_pass_before_the_last(scan: Volume, wide: int, one_window: bool) -> None:
    side = round(wide * 2.4 / 1.6)
    grid = Grid.upright(scan.grid.centre_mm, (scan.grid.shape[0], side, side), scan.grid.spacing_mm)
    volume, once, network = sample(scan, grid, fill=0), ByShade(), ByShade()
    spec = VolumeSpec(SPEC.spacing_mm, (64, 48, 48), SPEC.window_hu)

    first = predict_scan(volume, spec, once)
    found = locate(volume, spec, network, np.inf)

    assert (once.windows, first.one_window) == (1, one_window)
    assert network.windows == once.windows + 4 + (not one_window), "three of the last pass, and one upside down"
    assert [one.level for one in found.vertebrae] == list(CERVICAL)


def turned(scan: Volume, kind: str) -> Volume:
    """Returns the same scan, stored in another way."""
    grid = scan.grid
    if kind == "sagittal":
        affine = grid.affine[:, [2, 0, 1, 3]]
        return Volume(np.ascontiguousarray(scan.hu.transpose(2, 0, 1)), Grid((grid.shape[2], *grid.shape[:2]), affine))
    if kind == "feet first":
        affine = grid.affine.copy()
        affine[:3, 3] += affine[:3, 0] * (grid.shape[0] - 1)
        affine[:3, 0] *= -1
        return Volume(np.ascontiguousarray(scan.hu[::-1]), Grid(grid.shape, affine))
    affine = grid.affine.copy()
    turn = Rotation.from_euler("x", 20, degrees=True).as_matrix()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return sample(scan, Grid(grid.shape, affine), fill=0)


@pytest.mark.parametrize("kind", ["sagittal", "feet first", "oblique"])
def test_however_a_scan_is_stored_the_same_vertebrae_are_found_in_the_same_places(scan: Volume, kind: str) -> None:
    spec = VolumeSpec(SPEC.spacing_mm, (64, 64, 64), SPEC.window_hu)
    plain, other = (locate(volume, spec, ByShade(), np.inf) for volume in (scan, turned(scan, kind)))

    assert [one.level for one in plain.vertebrae] == list(CERVICAL)
    found = {one.level: one for one in other.vertebrae}
    for one in plain.vertebrae[1:6]:
        assert np.linalg.norm(np.subtract(one.centre_mm, found[one.level].centre_mm)) < 3


def test_the_box_holds_the_scan_and_one_window_at_least(scan: Volume) -> None:
    grid = covering_grid(scan.grid, SPEC)

    assert grid.contains(scan.grid.corners_mm() * 0.999 + scan.grid.centre_mm * 0.001).all()
    assert all(side >= size for side, size in zip(grid.shape, SPEC.size, strict=True))


def test_a_pass_over_the_neck_is_one_window() -> None:
    grid = Grid.upright((0, 0, 0), (200, 60, 60), (2.5, 2.5, 2.5))
    predicted = np.broadcast_to(np.eye(10, dtype=np.float32)[5], (*grid.shape, 10)).copy()
    network = Recording()
    first = ScanPrediction(np.full(grid.shape, 300, np.float32), predicted, grid, np.ones(grid.shape, bool))
    window = grid.part((52, 6, 6), neck_shape(SPEC))

    found = with_window(first, window, predict_window(first.hu_in(window), SPEC, network))

    assert network.shapes == [(96, 48, 48)]
    levels = np.argmax(found.probabilities, axis=-1)
    assert (levels[52:148, 6:54, 6:54] == 3).all()
    assert (levels[:52] == 9).all(), "a scan has one neck: what was called one elsewhere is other bone"


def test_where_either_pass_finds_the_atlas_the_other_pass_decides() -> None:
    classes = np.eye(10, dtype=np.float32)
    predicted, other = classes[[1, 1, 4, 3, 2]], classes[[1, 2, 5, 1, 0]]

    found = with_atlas_from(other, predicted)

    assert np.argmax(found, axis=-1).tolist() == [1, 2, 4, 1, 2]
    np.testing.assert_allclose(found.sum(axis=-1), 1)


def test_the_scan_lies_in_a_turned_window_where_it_lies_in_the_world() -> None:
    grid = Grid.upright((5, -3, 20), (60, 50, 40), (2.5, 2.5, 2.5))
    places = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    first = ScanPrediction(
        (places @ (1.0, 2.0, 3.0)).astype(np.float32), np.zeros((*grid.shape, 10), np.float32), grid, np.ones(grid.shape, bool)
    )
    affine = Grid.upright((5, -3, 20), (40, 24, 20), (2.5, 2.5, 2.5)).affine.copy()
    affine[:3, :3] = Rotation.from_euler("x", 25, degrees=True).as_matrix() @ affine[:3, :3]
    window = Grid((40, 24, 20), affine)
    index = np.moveaxis(np.indices(window.shape), 0, -1)

    shown = first.hu_in(window)

    within = grid.index(window.world(index))
    inside = np.all((within >= 0) & (within <= np.array(grid.shape) - 1), axis=-1)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(shown[inside], (window.world(index) @ (1.0, 2.0, 3.0))[inside], atol=0.05)
    beyond = grid.part((-100, 0, 0), (3, 3, 3))
    assert (first.hu_in(beyond) == -1000).all()


class Densest(ByShade):
    """The same, and the densest that it was shown in each window."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[float] = []

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        self.shown.append(float(batch.max()) * 1000)
        return super().run(batch)


@pytest.fixture
def at_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Necks are located as they are, never enlarged too; that has tests of its own."""
    monkeypatch.setattr("cspine.locating.coarse_to_fine._small_size", lambda *_: None)


@pytest.mark.usefixtures("at_its_size")
def test_passes_over_the_neck_have_a_hu_ceiling(scan: Volume) -> None:
    network, once, spec = Densest(), Densest(), VolumeSpec(SPEC.spacing_mm, (64, 48, 48), SPEC.window_hu)
    seen = predict_scan(scan, spec, once)
    first = locate_levels(seen.probabilities, seen.grid, seen.seen)
    median = float(np.median(seen.hu[np.isin(first.labels.labels, CERVICAL)]))

    locate(scan, spec, network, 0.6)

    assert max(once.shown) > 2 * median
    closer = network.shown[len(once.shown) :]
    assert len(closer) in (1, 5), "one to place the window; two with the ceiling, one without it, and one upside down with it"
    limited = [*closer[:3], *closer[4:]]
    assert limited == pytest.approx([0.6 * median] * len(limited), rel=1e-3)


@pytest.mark.usefixtures("at_its_size")
def test_there_is_no_second_pass_where_the_first_is_not_sure(scan: Volume) -> None:
    network = ByShade()
    low = [one.centre_mm[2] for one in locate(scan, SPEC, network, np.inf).vertebrae if one.level in (3, 6)]
    heights = scan.grid.world([(i, 0, 0) for i in range(scan.grid.shape[0])])[:, 2]
    kept = np.flatnonzero((heights > min(low)) & (heights < max(low)))
    part = scan.grid.part((int(kept.min()), 0, 0), (len(kept), *scan.grid.shape[1:]))
    network.windows = 0

    found = locate(sample(scan, part), SPEC, network, np.inf)

    assert found.vertebrae
    assert all(one.status is LevelStatus.UNCERTAIN for one in found.vertebrae)
    once = ByShade()
    predict_scan(sample(scan, part), SPEC, once)
    assert network.windows == once.windows
