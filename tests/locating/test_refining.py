from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating.located import Located, Vertebra
from cspine.locating.refining import refine
from cspine.results import Box, LevelStatus
from cspine.specs import RefinerSpec
from cspine.volume import LabelMap, Volume

SPEC = RefinerSpec(spacing_mm=(1.25, 1.25, 1.25), size=(32, 40, 40), window_hu=(-300.0, 1300.0))
BOX_MM = (20.0, 30.0, 26.0)
STEP_MM = 15.0
SMALL_COMPONENT_MM = (2.0, 3.0, 57.0)


class ByDensity:
    """A network that calls bone the vertebra whose guide is strongest there or close by."""

    def __init__(self) -> None:
        self.crops: list[NDArray[np.float32]] = []

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        self.crops.extend(batch)
        bone = np.clip((batch[..., 0] - 0.35) * 5 + 0.5, 0, 1)
        own, others = (ndimage.gaussian_filter(batch[..., channel], (0, 3, 3, 3)) for channel in (1, 2))
        share = own > others
        return {"vertebra": np.stack([1 - bone, bone * share, bone * ~share], axis=-1).astype(np.float32)}


class Silent:
    """A network that sees no vertebra."""

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        predicted = np.zeros((*batch.shape[:4], 3), np.float32)
        predicted[..., 0] = 1
        return {"vertebra": predicted}


def middle_mm(level: Level) -> NDArray[np.float64]:
    return np.array([2.0, 1.0 + 2 * level, 60.0 - STEP_MM * level])


def truth_at(world: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Returns seven blocks one below the other, 3 mm between them, and an arch behind each, a gap of 2 mm apart. C1 has no body."""
    labels = np.zeros(world.shape[:-1], np.uint8)
    for level in CERVICAL:
        x, y, z = np.moveaxis(world - middle_mm(level), -1, 0)
        body = (np.abs(x) < 13) & (np.abs(y) < 8) & (np.abs(z) < 6)
        arch = (np.abs(x) < 9) & (y > 10) & (y < 17) & (np.abs(z) < 5)
        labels[(body & ((level > Level.C1) | (np.abs(x) > 3))) | arch] = level
    return labels


def places(grid: Grid) -> NDArray[np.float64]:
    return grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))


@pytest.fixture(scope="module")
def scan() -> Volume:
    grid = Grid.upright((0, 8, 0), (180, 110, 90), (0.8, 0.7, 0.7))
    return Volume(np.where(truth_at(places(grid)) > 0, 500, 20).astype(np.float32), grid)


@pytest.fixture(scope="module")
def located() -> Located:
    return located_with(truth_at(places(COARSE)))


COARSE = Grid.upright((0.4, 8.3, 0.2), (60, 34, 30), (2.5, 2.5, 2.5))


def located_with(labels: NDArray[np.uint8]) -> Located:
    found = [
        Vertebra(level, LevelStatus.ASSESSED, 0.9, tuple(middle_mm(level)), Box((0, 0, 0), (1, 1, 1)), (0.0, 0.0, 1.0))
        for level in CERVICAL
        if (labels == level).any()
    ]
    return Located(tuple(found), LabelMap(labels, COARSE), np.zeros((2, 3)))


def dice(labels: LabelMap, level: Level) -> float:
    truth = truth_at(places(labels.grid)) == level
    predicted = labels.labels == level
    return float(2 * np.count_nonzero(truth & predicted) / (truth.sum() + predicted.sum()))


def test_borders_are_finer_than_those_that_guide(scan: Volume, located: Located) -> None:
    fine = refine(scan, located, SPEC, ByDensity())

    grid = fine.located.labels.grid
    assert grid.spacing_mm == pytest.approx(SPEC.spacing_mm)
    coarse = sample(located.labels, grid)
    for level in CERVICAL:
        assert dice(fine.located.labels, level) > max(0.9, dice(coarse, level))


def test_centres_and_boxes_are_those_of_the_fine_voxels(scan: Volume, located: Located) -> None:
    for one in refine(scan, located, SPEC, ByDensity()).located.vertebrae:
        low, high = np.array(one.box_mm.low_mm), np.array(one.box_mm.high_mm)
        np.testing.assert_allclose(low, middle_mm(one.level) - (13, 8, 6), atol=1.3)
        np.testing.assert_allclose(high, middle_mm(one.level) - (-13, -17, -6), atol=1.3)
        assert (low < one.centre_mm).all()
        assert (one.centre_mm < high).all()
        assert (one.status, one.confidence, one.axis) == (LevelStatus.ASSESSED, 0.9, (0.0, 0.0, 1.0))


def stored(scan: Volume, kind: str) -> Volume:
    grid, affine = scan.grid, scan.grid.affine.copy()
    if kind == "sagittal":
        turned = Grid((grid.shape[2], *grid.shape[:2]), affine[:, [2, 0, 1, 3]])
        return Volume(np.ascontiguousarray(scan.hu.transpose(2, 0, 1)), turned)
    if kind == "feet first":
        affine[:3, 3] += affine[:3, 0] * (grid.shape[0] - 1)
        affine[:3, 0] *= -1
        return Volume(np.ascontiguousarray(scan.hu[::-1]), Grid(grid.shape, affine))
    if kind == "thick":
        return sample(scan, grid.with_spacing((3.0, 0.7, 0.7)))
    affine[:3, :3] = Rotation.from_euler("x", 20, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return sample(scan, Grid(grid.shape, affine), fill=20)


@pytest.mark.parametrize(("kind", "least"), [("sagittal", 0.92), ("feet first", 0.92), ("oblique", 0.9), ("thick", 0.8)])
def test_however_a_scan_is_stored_the_same_borders_are_found(scan: Volume, located: Located, kind: str, least: float) -> None:
    labels = refine(stored(scan, kind), located, SPEC, ByDensity()).located.labels

    assert min(dice(labels, level) for level in CERVICAL[1:6]) > least


@pytest.mark.parametrize("kind", ["sagittal", "feet first", "oblique"])
def test_labels_can_be_had_on_the_grid_of_the_scan(scan: Volume, located: Located, kind: str) -> None:
    volume = stored(scan, kind)
    fine = refine(volume, located, SPEC, ByDensity())

    labels = fine.labels_on(volume.grid)

    assert labels.grid is volume.grid
    assert min(dice(labels, level) for level in CERVICAL[1:6]) > 0.93


def test_labels_on_their_own_grid_are_the_labels(scan: Volume, located: Located) -> None:
    fine = refine(scan, located, SPEC, ByDensity())

    np.testing.assert_array_equal(fine.labels_on(fine.located.labels.grid).labels, fine.located.labels.labels)


def test_far_from_the_neck_labels_are_the_coarse_ones(scan: Volume, located: Located) -> None:
    labels = located.labels.labels.copy()
    labels[:3, 2:5, 2:5], labels[-2:, 2:5, 2:5] = Level.T1, 20
    wider = replace(located, labels=LabelMap(labels, COARSE))

    fine = refine(scan, wider, SPEC, ByDensity())

    again = fine.labels_on(COARSE).labels
    for value in (Level.T1, 20):
        np.testing.assert_array_equal(again == value, labels == value)
    elsewhere = fine.labels_on(Grid.upright((500, 0, 0), (4, 4, 4), (1, 1, 1)))
    assert not elsewhere.labels.any()


def test_a_vertebra_that_the_second_network_does_not_see_keeps_its_coarse_voxels(scan: Volume, located: Located) -> None:
    fine = refine(scan, located, SPEC, Silent())

    again = fine.labels_on(COARSE).labels
    assert np.count_nonzero(again != located.labels.labels) < 0.01 * np.count_nonzero(located.labels.labels)


def test_dense_bone_that_nobody_claims_stays_what_it_was_called(scan: Volume, located: Located) -> None:
    class Blind(ByDensity):
        """It sees no vertebra in the left quarter of a crop."""

        def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
            predicted = super().run(batch)["vertebra"]
            predicted[..., 30:, :] = (1, 0, 0)
            return {"vertebra": predicted}

    kept = refine(scan, located, SPEC, Blind())
    labels = kept.located.labels
    dim = np.where(places(scan.grid)[..., 0] > 9, np.minimum(scan.hu, 250), scan.hu)
    missed = refine(Volume(dim, scan.grid), located, SPEC, Blind()).located.labels

    left = (places(labels.grid)[..., 0] > 12) & (truth_at(places(labels.grid)) == Level.C4)
    assert np.mean(labels.labels[left] == Level.C4) > 0.8
    assert np.mean(missed.labels[left] == Level.C4) == 0
    on_scan = kept.labels_on(scan.grid)
    there = (places(scan.grid)[..., 0] > 12) & (truth_at(places(scan.grid)) == Level.C4)
    assert np.mean(on_scan.labels[there] == Level.C4) > 0.6


def test_a_crop_that_cuts_its_vertebra_is_moved_once(scan: Volume, located: Located) -> None:
    labels = located.labels.labels.copy()
    labels[(places(COARSE)[..., 1] > middle_mm(Level.C4)[1] - 2) & (labels == Level.C4)] = 0  # nothing left but the front
    short = replace(SPEC, size=(32, 16, 40))
    network = ByDensity()

    fine = refine(scan, located_with(labels), short, network)

    assert len(network.crops) > len(CERVICAL)
    c4 = next(crop for crop in fine.crops if crop.level is Level.C4)
    assert abs(c4.grid.centre_mm[1] - middle_mm(Level.C4)[1]) < 6


def test_small_components_are_dropped_and_parts_behind_a_crack_stay(scan: Volume, located: Located) -> None:
    hu = scan.hu.copy()
    component = np.linalg.norm(places(scan.grid) - SMALL_COMPONENT_MM, axis=-1) < 2
    hu[component] = 500

    labels = refine(Volume(hu, scan.grid), located, SPEC, ByDensity()).located.labels

    there = np.linalg.norm(places(labels.grid) - SMALL_COMPONENT_MM, axis=-1) < 2
    assert not labels.labels[there].any()
    assert dice(labels, Level.C1) > 0.95


def test_where_nothing_was_located_nothing_is_looked_at(scan: Volume) -> None:
    network = ByDensity()
    empty = located_with(np.zeros(COARSE.shape, np.uint8))

    fine = refine(scan, empty, SPEC, network)

    assert network.crops == []
    assert fine.located is empty
    assert not fine.labels_on(COARSE).labels.any()
