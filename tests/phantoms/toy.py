"""A neck made of cylinders: enough for scanners and writers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cspine.geometry import Grid
from cspine.phantoms.dataset.rsna import Subject
from cspine.volume import LabelMap, Volume

LEVEL_MM = 16.0
"""Height of a level; C1 reaches from z = 0 down."""


@dataclass(frozen=True)
class ToyRendering:
    volume: Volume
    labels: LabelMap
    fracture_mask: LabelMap


@dataclass(frozen=True)
class ToyNeck:
    """A soft neck along z, vertebrae as rods in front of air, shoulders below C5, perhaps metal.

    Attributes:
        metal_z_mm: Where a metal ball lies, or ``None``.
        broken: Levels with a flat gap.
    """

    metal_z_mm: float | None = None
    broken: tuple[int, ...] = ()
    shoulders: bool = True

    def __call__(self, grid: Grid) -> ToyRendering:
        k, j, i = np.ogrid[tuple(slice(n) for n in grid.shape)]
        x, y, z = (np.float32(row[3]) + (row[0] * k + row[1] * j + row[2] * i).astype(np.float32) for row in grid.affine[:3])
        hu = np.full(grid.shape, -1000.0, dtype=np.float32)
        wide = 60 + (np.clip((-z - 75) * 4, 0, 150) if self.shoulders else 0)
        hu[(x / wide) ** 2 + (y / 60) ** 2 < 1] = 40
        level = np.floor(-z / LEVEL_MM).astype(int) + 1
        bone = (np.hypot(x, y - 5) < 12) & (level >= 1) & (level <= 10) & (np.mod(-z, LEVEL_MM) > 4)
        density = 400 + 20 * level + 1.5 * x + 1.5 * (y - 5)  # varies, as bone does: one density would look cut off
        hu[bone] = np.broadcast_to(density, grid.shape)[bone]
        labels = np.where(bone, level, 0).astype(np.uint8)
        gap = bone & np.isin(level, self.broken) & (np.abs(x - 3) < 1.0)
        hu[gap] = 50
        if self.metal_z_mm is not None:
            hu[np.sqrt((x - 25) ** 2 + (y + 20) ** 2 + (z - self.metal_z_mm) ** 2) < 5] = 12000
        return ToyRendering(Volume(hu, grid), LabelMap(labels, grid), LabelMap(np.where(gap, level, 0).astype(np.uint8), grid))


def sample_toy(rng: np.random.Generator, fractured: tuple[bool, ...]) -> Subject:
    """Returns a toy neck with the given levels broken, which stands anywhere."""
    neck = ToyNeck(broken=tuple(level for level, broken in enumerate(fractured, 1) if broken))
    site = np.array([3.0, 5.0, -10.0])

    def facts(way_mm: np.ndarray) -> dict[str, Any]:
        return {"subject": {"toy": True, "chance": rng.random(), "site_mm": site + way_mm}}

    return Subject(neck, fractured, np.array([2.0, 3.0, 0.0]), 0.0, -7 * LEVEL_MM, facts)
