"""The dens is C2's, also where a network called it C1."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.locating.dens import give_dens_back
from cspine.volume import LabelMap

GRID = Grid.upright((0, 0, 0), (70, 60, 60), (1.0, 1.0, 1.0))


def neck(lean: float, *, top_mm: float = 25.0) -> NDArray[np.uint8]:
    """Returns a body with a dens that is C2 up to a height, an arch of C2, and a ring of C1 around the dens; all lean forward."""
    x, y, z = np.moveaxis(GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
    y = y + lean * z
    labels = np.zeros(GRID.shape, np.uint8)
    body = (np.abs(x) < 9) & (np.abs(y) < 8) & (z > -20) & (z < -4)
    dens = (np.hypot(x, y) < 5) & (z >= -4) & (z < top_mm)
    ring = np.hypot(x / 20, (y - 9) / 20)
    labels[(np.abs(x) < 8) & (y > 20) & (y < 28) & (z > -18) & (z < -6)] = Level.C2
    labels[(ring < 1) & (ring > 0.72) & (z > 4) & (z < 14)] = Level.C1
    labels[body | dens] = Level.C2
    return labels


@pytest.mark.parametrize("lean", [0.0, 0.25, -0.3])
def test_a_dens_that_is_called_c1_becomes_c2_and_the_ring_stays(lean: float) -> None:
    truth = neck(lean, top_mm=16.0)
    predicted = np.where((truth == Level.C2) & (neck(lean, top_mm=3.0) == 0), Level.C1, truth).astype(np.uint8)

    wrong = np.count_nonzero(predicted != truth)

    renamed = give_dens_back(labels := LabelMap(predicted, GRID))

    assert wrong > 800
    assert renamed > 0.9 * wrong
    assert np.count_nonzero(labels.labels != truth) < 0.1 * wrong


def test_an_arch_that_large_voxels_join_to_the_body_does_not_turn_the_axis() -> None:
    truth = neck(0.25, top_mm=16.0)
    x, y, z = np.moveaxis(GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
    truth[(np.abs(x) < 4) & (y + 0.25 * z > 7) & (y + 0.25 * z < 28) & (z > -9) & (z < -4)] = Level.C2
    predicted = np.where((truth == Level.C2) & (z > 3), Level.C1, truth).astype(np.uint8)
    wrong = np.count_nonzero(predicted != truth)

    renamed = give_dens_back(labels := LabelMap(predicted, GRID))

    assert renamed > 0.9 * wrong > 700
    assert np.count_nonzero(labels.labels != truth) < 0.1 * wrong


@pytest.mark.parametrize("lean", [0.0, 0.25, -0.3])
@pytest.mark.parametrize("top_mm", [16.0, 0.0])
def test_where_it_is_not_called_c1_nothing_changes(lean: float, top_mm: float) -> None:
    labels = LabelMap(neck(lean, top_mm=top_mm), GRID)

    assert give_dens_back(labels) == 0
    np.testing.assert_array_equal(labels.labels, neck(lean, top_mm=top_mm))


@pytest.mark.parametrize("kept", [(Level.C1,), (Level.C2,), ()])
def test_it_needs_both(kept: tuple[Level, ...]) -> None:
    labels = LabelMap(np.where(np.isin(neck(0.0), kept), neck(0.0), 0).astype(np.uint8), GRID)

    assert give_dens_back(labels) == 0


def test_a_sliver_of_c2_has_no_axis() -> None:
    predicted = neck(0.0)
    predicted[(predicted == Level.C2) & (np.arange(70) < 37)[:, None, None]] = 0
    predicted[predicted == Level.C2] = Level.C1
    predicted[34:38, 25:35, 25:35] = Level.C2

    assert give_dens_back(LabelMap(predicted, GRID)) == 0
