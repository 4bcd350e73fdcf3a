import numpy as np
import pytest

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.locating.located import Located, Vertebra
from cspine.locating.magnifying import magnified, magnified_located
from cspine.results import Box, LevelStatus
from cspine.volume import LabelMap, Volume

GRID = Grid.upright((10, -20, 30), (6, 5, 4), (2.0, 1.5, 1.0))


def test_a_scan_and_what_was_found_in_it_grow_alike_and_back() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[2, 2, 2] = Level.C4
    place = tuple(float(part) for part in GRID.world((2, 2, 2)))
    one = Vertebra(Level.C4, LevelStatus.ASSESSED, 0.9, place, Box(place, place), (0, 0, 1))  # type: ignore[arg-type]
    located = Located((one,), LabelMap(labels, GRID), np.array([place]))

    scan = magnified(Volume(np.zeros(GRID.shape, np.float32), GRID), 1.8)
    larger = magnified_located(located, 1.8)
    back = magnified_located(larger, 1 / 1.8)

    assert scan.grid.spacing_mm == pytest.approx((3.6, 2.7, 1.8))
    assert scan.grid.index(np.array(larger.vertebrae[0].centre_mm)) == pytest.approx([2, 2, 2])
    assert larger.labels.grid.world((2, 2, 2)) == pytest.approx(larger.vertebrae[0].centre_mm)
    assert larger.line_mm[0] == pytest.approx(larger.vertebrae[0].centre_mm)
    assert larger.vertebrae[0].box_mm.low_mm == pytest.approx(larger.vertebrae[0].centre_mm)
    assert back.vertebrae[0].centre_mm == pytest.approx(place)
    assert back.magnification == pytest.approx(1.0)
    assert larger.magnification == pytest.approx(1 / 1.8)
