"""The slices that a slice network classifies: around the located vertebrae, which also give the levels that a slice shows."""

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.geometry import Grid
from cspine.locating import Located
from cspine.results import LevelStatus
from cspine.specs import SliceSpec

_MARGIN_MM = 10.0
"""Of the slices above and below the vertebrae: context, and room for a fragment."""

_FULL_FROM = 0.25
"""Smallest share of its largest cross-section at which a level counts as wholly visible, as in training."""


def slices_around(located: Located, scan: Grid, spec: SliceSpec) -> Grid:
    """Returns upright slices over the vertebrae that were located, around their middle, within the heights that the scan holds."""
    boxes = np.array([(vertebra.box_mm.low_mm, vertebra.box_mm.high_mm) for vertebra in located.vertebrae])
    heights = scan.corners_mm()[:, 2]
    low = max(boxes[:, 0, 2].min() - _MARGIN_MM, heights.min())
    high = min(boxes[:, 1, 2].max() + _MARGIN_MM, heights.max())
    x, y = np.median(boxes.mean(axis=1)[:, :2], axis=0)
    count = max(1, round((high - low) / spec.spacing_mm[0]))
    return Grid.upright((float(x), float(y), (low + high) / 2), (count, *spec.size), spec.spacing_mm)


def visible_levels(located: Located, slices: Grid) -> NDArray[np.float64]:
    """Returns how much of C1..C7 is in each slice, 0..1, ``(n, 7)``; nothing of levels whose names are uncertain."""
    labels = located.labels
    heights = labels.grid.world(np.column_stack([np.arange(labels.grid.shape[0]), np.zeros((labels.grid.shape[0], 2))]))[:, 2]
    wanted = slices.world(np.column_stack([np.arange(slices.shape[0]), np.zeros((slices.shape[0], 2))]))[:, 2]
    found = np.zeros((slices.shape[0], len(CERVICAL)))
    for vertebra in located.vertebrae:
        area = np.count_nonzero(labels.labels == vertebra.level, axis=(1, 2))
        if vertebra.status is not LevelStatus.UNCERTAIN and area.any():
            found[:, vertebra.level - 1] = np.clip(np.interp(wanted, heights, area / (_FULL_FROM * area.max())), 0, 1)
    return found
