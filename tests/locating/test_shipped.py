"""The shipped localiser on one phantom: stored in eight ways, leaning, stored wrongly, as a child's, and beside arms."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.localiser.real import WAYS
from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating import Localiser, Located
from cspine.locating.region_proposal import REGION_VOXEL, ProposedRegion, propose_regions
from cspine.phantoms import render, sample_neck
from cspine.results import LevelStatus
from cspine.runtime import Session
from cspine.specs import VolumeSpec
from cspine.volume import Volume

FARTHEST_MM = 3.0


@pytest.fixture(scope="module")
def localiser() -> Localiser:
    return Localiser()


@pytest.fixture(scope="module")
def scan() -> Volume:
    """Returns a neck between skull and chest, with some noise."""
    neck = sample_neck(np.random.default_rng(40))
    grid = neck.scan_grid((1.25, 0.7, 0.7), 170.0, above_mm=35.0, below_mm=45.0)
    hu = render(neck, grid).volume.hu
    return Volume((hu + np.random.default_rng(0).normal(0, 15, hu.shape)).astype(np.float32), grid)


@pytest.fixture(scope="module")
def plain(localiser: Localiser, scan: Volume) -> Located:
    return localiser(scan)


def test_finds_all_seven(plain: Located) -> None:
    assert [(one.level, one.status) for one in plain.vertebrae] == [(level, LevelStatus.ASSESSED) for level in CERVICAL]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "as stored"])
def test_finds_the_same_however_the_scan_is_stored(localiser: Localiser, scan: Volume, plain: Located, way: str) -> None:
    located = localiser(WAYS[way](scan))

    assert [one.level for one in located.vertebrae] == [one.level for one in plain.vertebrae]
    for one, same in zip(plain.vertebrae, located.vertebrae, strict=True):
        assert np.linalg.norm(np.subtract(one.centre_mm, same.centre_mm)) <= FARTHEST_MM, one.level
        assert same.status is not LevelStatus.UNCERTAIN


@pytest.mark.parametrize("lean_deg", [-20, 25, 40])
def test_finds_the_same_however_the_neck_leans(localiser: Localiser, scan: Volume, plain: Located, lean_deg: float) -> None:
    """The patient lies otherwise; the scan is not just stored otherwise."""
    lean = np.eye(4)
    lean[:3, :3] = Rotation.from_euler("x", lean_deg, degrees=True).as_matrix()

    located = localiser(Volume(scan.hu, Grid(scan.grid.shape, lean @ scan.grid.affine)))

    assert [one.level for one in located.vertebrae] == [one.level for one in plain.vertebrae]
    for one, same in zip(plain.vertebrae, located.vertebrae, strict=True):
        assert np.linalg.norm(lean[:3, :3] @ one.centre_mm - same.centre_mm) <= FARTHEST_MM, one.level


def interleaved(hu: np.ndarray) -> np.ndarray:
    """Returns a series of two passes, with the patient 8 mm higher in the second."""
    mixed = hu.copy()
    mixed[1::2] = np.roll(hu, round(8 / 1.25), axis=0)[1::2]
    return mixed


def its_own_mirror_image(hu: np.ndarray) -> np.ndarray:
    """Returns the upper half of a scan, and below it the same from the other end."""
    upper = hu[len(hu) // 2 :]
    return np.concatenate([upper[::-1], upper])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda hu: hu[::-1], id="head and feet exchanged"),
        pytest.param(lambda hu: hu[:, ::-1], id="front and back exchanged"),
        pytest.param(lambda hu: hu[::-1, ::-1], id="turned about the ears"),
        pytest.param(interleaved, id="two passes interleaved"),
        pytest.param(
            lambda hu: np.concatenate([hu[len(hu) // 2 :][::-1], hu[len(hu) // 2 :]])[: len(hu)], id="its own mirror image"
        ),
    ],
)
def test_names_nothing_surely_where_the_header_does_not_say_how_a_scan_is_stored(
    localiser: Localiser, scan: Volume, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    hu = np.ascontiguousarray(change(scan.hu))
    located = localiser(Volume(hu, scan.grid.part((0, 0, 0), hu.shape)))

    assert all(one.status is LevelStatus.UNCERTAIN for one in located.vertebrae)


def test_finds_a_childs_neck_enlarged_and_says_so(localiser: Localiser, scan: Volume, plain: Located) -> None:
    small = scan.grid.affine.copy()
    small[:3] *= 0.55

    located = localiser(Volume(scan.hu, Grid(scan.grid.shape, small)))

    assert [(one.level, one.status) for one in located.vertebrae] == [(level, LevelStatus.ASSESSED) for level in CERVICAL]
    for one, same in zip(plain.vertebrae, located.vertebrae, strict=True):
        assert np.linalg.norm(np.multiply(one.centre_mm, 0.55) - same.centre_mm) <= FARTHEST_MM, one.level
    assert [reason.code for reason in located.reasons] == ["size_unusual"]


def test_finds_the_neck_in_a_large_field_although_the_first_regions_miss_it(
    localiser: Localiser, scan: Volume, plain: Located, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_the_first(volume: Volume, spec: VolumeSpec, session: Session, voxel: float) -> tuple[ProposedRegion, ...]:
        return () if voxel == REGION_VOXEL else propose_regions(volume, spec, session, voxel)

    monkeypatch.setattr("cspine.locating.coarse_to_fine.propose_regions", without_the_first)
    field = Grid.upright(scan.grid.centre_mm, (120, 100, 100), (3.0, 3.0, 3.0))

    located = localiser(sample(scan, field))

    assert [one.level for one in located.vertebrae] == [one.level for one in plain.vertebrae]
    assert all(one.status is not LevelStatus.UNCERTAIN for one in located.vertebrae)


def test_finds_the_neck_and_no_arm_in_a_large_field(localiser: Localiser, scan: Volume, plain: Located) -> None:
    """Arms are laid beside the head, each of two bones that meet in an elbow at the height of the neck."""
    x, y, z = scan.grid.centre_mm
    field = Grid.upright((x, y, z), (160, 150, 150), (3.0, 3.0, 3.0))
    hu = sample(scan, field).hu
    along, back, left = np.moveaxis(field.world(np.moveaxis(np.indices(field.shape), 0, -1)), -1, 0)[::-1]
    for side in (-1, 1):
        bend = side * (150 + 0.4 * np.abs(along - z))
        away = np.hypot(left - x - bend, back - y)
        hu = np.where(away < 40, np.maximum(hu, 40), hu)
        hu = np.where(away < 12, np.maximum(hu, 300), hu)
        hu = np.where(np.abs(away - 11) < 3, np.maximum(hu, 900), hu).astype(np.float32)

    located = localiser(Volume(hu, field))

    assert [one.level for one in located.vertebrae] == [one.level for one in plain.vertebrae]
    for one, same in zip(plain.vertebrae, located.vertebrae, strict=True):
        assert np.linalg.norm(np.subtract(one.centre_mm, same.centre_mm)) <= 4.0, one.level
        assert same.status is not LevelStatus.UNCERTAIN
