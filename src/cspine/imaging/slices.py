"""Makes what a slice network is fed: the same for training and for service."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.imaging.windowing import windowed
from cspine.specs import SliceSpec
from cspine.volume import Volume

_TISSUE_HU = -300.0
_COARSE_MM = 4.0


def slice_grid(volume: Volume, spec: SliceSpec) -> Grid:
    """Returns upright slices over the whole height of a scan, around the middle of its tissue.

    Sagittal, oblique and feet-first scans are seen as axial ones. Slices run from feet to head.
    """
    corners = volume.grid.corners_mm()
    low, high = corners[:, 2].min(), corners[:, 2].max()
    count = max(1, round((high - low) / spec.spacing_mm[0]))
    x, y = _middle_of_tissue(volume)
    return Grid.upright((x, y, (low + high) / 2), (count, *spec.size), spec.spacing_mm)


def network_input(stack: Volume, spec: SliceSpec, chosen: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Returns slices of a stack as a network takes them: windowed to 0..1, with neighbours as channels.

    Args:
        stack: A volume on a :func:`slice_grid`, slices first.
        spec: The input of the network.
        chosen: Which slices; all by default. The first and the last slice are their own missing neighbours.

    Returns:
        ``(n, rows, columns, channels)``, channels from feet to head.
    """
    count = stack.hu.shape[0]
    middle = np.arange(count) if chosen is None else np.asarray(chosen, dtype=np.intp)
    around = middle[:, None] + np.arange(-spec.neighbours, spec.neighbours + 1)
    shown = windowed(stack.hu[np.clip(around, 0, count - 1)], spec.window_hu)
    return np.ascontiguousarray(np.moveaxis(shown, 1, -1))


def _middle_of_tissue(volume: Volume) -> tuple[float, float]:
    """Returns the world x and y of the centroid of everything denser than fat, sampled every 4 mm or so."""
    steps = [max(1, round(_COARSE_MM / spacing)) for spacing in volume.grid.spacing_mm]
    z, y, x = (slice(step // 2 if step <= size else 0, None, step) for step, size in zip(steps, volume.grid.shape, strict=True))
    first = np.array([z.start, y.start, x.start])
    index = np.argwhere(volume.hu[z, y, x] > _TISSUE_HU) * steps + first
    centre = volume.grid.world(index.mean(axis=0)) if len(index) else volume.grid.centre_mm
    return float(centre[0]), float(centre[1])
