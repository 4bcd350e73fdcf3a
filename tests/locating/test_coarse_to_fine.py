import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.locating.coarse_to_fine import neck_window
from cspine.locating.located import Located, Vertebra
from cspine.results import Box, LevelStatus
from cspine.specs import VolumeSpec
from cspine.volume import LabelMap

SPEC = VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(32, 48, 48), window_hu=(0.0, 1000.0))
GRID = Grid.upright((0, 0, 0), (150, 60, 60), (2.5, 2.5, 2.5))


def neck(lean_deg: float, levels: tuple[Level, ...] = CERVICAL) -> Located:
    """Returns vertebrae 17 mm apart on a line that leans forward, C4 at the origin."""
    x, y, z = (float(part) for part in Rotation.from_euler("x", lean_deg, degrees=True).apply([0.0, 0.0, 1.0]))
    found = tuple(
        Vertebra(level, LevelStatus.ASSESSED, 0.9, (x * up, y * up, z * up), Box((0, 0, 0), (1, 1, 1)), (x, y, z))
        for level, up in ((level, 17.0 * (4 - level)) for level in levels)
    )
    return Located(found, LabelMap(np.zeros(GRID.shape, np.uint8), GRID), np.empty((0, 3)))


@pytest.mark.parametrize("lean_deg", [-50, -30, -18, 18, 30, 50])
def test_the_window_leans_as_the_neck_does(lean_deg: float) -> None:
    window = neck_window(neck(lean_deg), GRID, SPEC)

    axis = Rotation.from_euler("x", lean_deg, degrees=True).apply([0.0, 0.0, 1.0])
    np.testing.assert_allclose(window.directions[:, 0], axis, atol=1e-9)
    np.testing.assert_allclose(window.directions[:, 2], [1, 0, 0], atol=1e-9)
    assert np.linalg.norm(window.centre_mm) < 2.5
    assert window.spacing_mm == pytest.approx(SPEC.spacing_mm)
    assert window.shape == (96, 48, 48)


@pytest.mark.parametrize("lean_deg", [-15, 0, 14, 80, 170])
def test_a_neck_that_hardly_leans_or_lies_across_gets_an_upright_window_on_the_voxels_that_there_are(lean_deg: float) -> None:
    window = neck_window(neck(lean_deg), GRID, SPEC)

    np.testing.assert_allclose(window.directions, GRID.directions, atol=1e-9)
    index = GRID.index(window.affine[:3, 3])
    np.testing.assert_allclose(index, np.rint(index), atol=1e-6)


def test_one_vertebra_does_not_say_how_a_neck_leans() -> None:
    window = neck_window(neck(30, (Level.C2,)), GRID, SPEC)

    np.testing.assert_allclose(window.directions, GRID.directions, atol=1e-9)
