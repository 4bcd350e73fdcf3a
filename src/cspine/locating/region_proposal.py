"""Regions of a large scan that may hold a neck, proposed by a pass over all of it on larger voxels.

A window of larger voxels covers more, at the price of names: a lumbar vertebra on them looks like a cervical one. So this pass only
says where vertebrae are. The passes on the network's own voxels keep to these regions; what they cost follows the spine, not the
field of view.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.locating.sliding_window import (
    blending_weight,
    covering_grid,
    has_bone,
    predict_window,
    sliding_windows,
    window_size,
)
from cspine.runtime import Session
from cspine.specs import OTHER_BONE_CLASS, VolumeSpec
from cspine.volume import LabelMap, Volume

REGION_VOXEL = 1.6
"""Voxels of this pass against the network's own: at twice their size it misses every fourth neck."""

SMALLER_REGION_VOXEL = 1.25
"""Voxels of a second pass, in a scan where the regions of the first one hold no neck with sure names."""

_OVERLAP = 0.25
_VERTEBRA = 0.12
"""From this probability on a voxel may be a vertebra's. A neck is faint on larger voxels, above all one that is seen in part."""

_LEAST_ML = 8.0
"""A smaller component is no part of a spine worth a pass: less than a vertebra."""

_MOST_REGIONS = 6

_MARGIN_MM = np.array([30.0, 25.0, 25.0])
"""What is predicted around a component, ``(z, y, x)``: its ends may be missed."""

_EVERY_SIDE = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, slots=True, eq=False)
class ProposedRegion:
    """A part of a scan.

    Attributes:
        grid: Upright, of the network's voxels.
        vertebrae: What may be a vertebra there; ``None`` where nothing is known.
    """

    grid: Grid
    vertebrae: LabelMap | None = None


def propose_regions(volume: Volume, spec: VolumeSpec, session: Session, voxel: float = REGION_VOXEL) -> tuple[ProposedRegion, ...]:
    """Returns the regions that may hold a neck, the largest spine first; all of the scan where one window covers it.

    Args:
        volume: The scan.
        spec: What the network is fed.
        session: The network.
        voxel: Size of the voxels against the network's own.

    Raises:
        PackageError: The network does not do what it should.
    """
    whole = covering_grid(volume.grid, spec)
    if all(side <= one for side, one in zip(whole.shape, window_size(whole.shape, spec), strict=True)):
        return (ProposedRegion(whole),)
    z, y, x = (voxel * side for side in spec.spacing_mm)
    return tuple(_regions(_vertebrae(volume, replace(spec, spacing_mm=(z, y, x)), session), spec))


def _vertebrae(volume: Volume, spec: VolumeSpec, session: Session) -> LabelMap:
    """Returns the components of what may be a vertebra, numbered from the largest; at most as many as regions are proposed."""
    size = window_size(covering_grid(volume.grid, spec).shape, spec)
    grid = covering_grid(volume.grid, replace(spec, size=size))
    hu = sample(volume, grid).hu
    weight = blending_weight(size)
    total, likely = np.full(grid.shape, 1e-6, np.float32), np.zeros(grid.shape, np.float32)
    for window in sliding_windows(grid.shape, size, _OVERLAP):
        if has_bone(hu[window], spec):
            likely[window] += predict_window(hu[window], spec, session)[..., 1:OTHER_BONE_CLASS].sum(axis=-1) * weight
            total[window] += weight
    return LabelMap(_largest(likely / total > _VERTEBRA, float(np.prod(spec.spacing_mm)) / 1000), grid)


def _largest(mask: NDArray[np.bool_], voxel_ml: float) -> NDArray[np.uint8]:
    components, _ = ndimage.label(mask, _EVERY_SIDE)
    sizes_ml = np.bincount(components.ravel()) * voxel_ml
    sizes_ml[0] = 0
    numbers = np.zeros(len(sizes_ml), np.uint8)
    for number, component in enumerate(np.argsort(-sizes_ml)[:_MOST_REGIONS], start=1):
        if sizes_ml[component] >= _LEAST_ML:
            numbers[component] = number
    return np.asarray(numbers[components])


def _regions(vertebrae: LabelMap, spec: VolumeSpec) -> Iterator[ProposedRegion]:
    """Yields the box around each component, one window large at least."""
    margin = _MARGIN_MM / vertebrae.grid.spacing_mm
    for number, box in enumerate(ndimage.find_objects(vertebrae.labels), start=1):
        if box is not None:
            low = np.array([side.start for side in box]) - margin
            high = np.array([side.stop for side in box]) + margin
            z, y, x = (int(side) for side in np.ceil(high - low))
            near = vertebrae.grid.part(low, (z, y, x))
            own = LabelMap((vertebrae.labels == number).astype(np.uint8), vertebrae.grid)
            yield ProposedRegion(covering_grid(near, spec), own)
