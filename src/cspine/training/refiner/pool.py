"""The pool of a refiner: spines from skull to chest on fine voxels, without noise."""

import numpy as np

from cspine.geometry import Grid
from cspine.phantoms import Neck
from cspine.specs import RefinerSpec
from cspine.training.localiser.pool import Part, PoolImage, draw_pool_neck, picture_of, pool_chance
from cspine.training.refiner.settings import StripSettings

_BEHIND_MM = 18.0
"""How far behind the middle of the bodies the middle of the vertebrae lies."""


def draw_strip(settings: StripSettings, spec: RefinerSpec, part: Part, number: int) -> PoolImage:
    """One spine of a pool, the same for the same settings and number."""
    neck = draw_pool_neck(pool_chance(settings.seed, part, number), part, settings.beyond_life)
    return picture_of(neck, strip_grid(neck, settings, spec))


def strip_grid(neck: Neck, settings: StripSettings, spec: RefinerSpec) -> Grid:
    """A box around C1..C7."""
    centres = np.array([neck.centres_mm[f"C{number}"] for number in range(1, 8)])
    middle = (centres.min(axis=0) + centres.max(axis=0)) / 2 + (0, _BEHIND_MM, 0)
    return Grid.upright(middle, settings.size, spec.spacing_mm)
