"""The shipped localiser on one phantom, stored in eight ways, and leaning."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.localiser.real import WAYS
from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.locating import Localiser, Located
from cspine.phantoms import render, sample_neck
from cspine.results import LevelStatus
from cspine.volume import Volume

FARTHEST_MM = 3.0


@pytest.fixture(scope="module")
def localiser() -> Localiser:
    return Localiser()


@pytest.fixture(scope="module")
def scan() -> Volume:
    """A neck between skull and chest, with some noise."""
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
    """A patient who lies otherwise, not a scan that is stored otherwise."""
    lean = np.eye(4)
    lean[:3, :3] = Rotation.from_euler("x", lean_deg, degrees=True).as_matrix()

    located = localiser(Volume(scan.hu, Grid(scan.grid.shape, lean @ scan.grid.affine)))

    assert [one.level for one in located.vertebrae] == [one.level for one in plain.vertebrae]
    for one, same in zip(plain.vertebrae, located.vertebrae, strict=True):
        assert np.linalg.norm(lean[:3, :3] @ one.centre_mm - same.centre_mm) <= FARTHEST_MM, one.level
