"""A phantom that stands in for a scan of real bone, with its true outlines."""

from functools import cache

import numpy as np

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.phantoms import render
from cspine.phantoms.ct.scanner import Scanner, scan
from cspine.phantoms.graft.grafting import GraftSource
from cspine.phantoms.graft.image_quality import measure_quality
from cspine.phantoms.graft.outlining import outline_bone
from cspine.volume import LabelMap, Volume
from tests.phantoms.necks import plain_neck

SCANNER = Scanner(cutoff_per_mm=0.6, boost=0.0, thickness_mm=1.2, noise_hu=18.0, starvation=0.3, scatter=0.0, hardening=0.0)
BROKEN = (Level.C2, Level.C3, Level.C4, Level.C5)
UP = (0.0, 0.0, 1.0)


@cache
def stand_in() -> tuple[Volume, LabelMap]:
    """Returns a neck from the skull base to C6, as a scanner shows it, and its bones."""
    neck = plain_neck()
    middle = np.mean([neck.centres_mm[name] for name in ("C1", "C5")], axis=0) + np.array([0, 14, 0])
    grid = Grid.upright(middle, (110, 150, 140), (1.0, 0.7, 0.7))
    parts = list(scan(lambda part: render(neck, part), grid, SCANNER, np.random.default_rng(0)))
    hu = np.rint(np.concatenate([part.hu for part in parts]))
    return Volume(hu, grid), LabelMap(np.concatenate([part.labels for part in parts]), grid)


@cache
def source() -> GraftSource:
    """Returns the same, ready to be broken."""
    volume, mask = stand_in()
    bones = {level: outline_bone(mask, level, UP) for level in BROKEN}
    return GraftSource(volume, mask, bones, measure_quality(volume, np.random.default_rng(0)))
