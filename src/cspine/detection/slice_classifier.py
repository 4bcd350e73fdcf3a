"""Classifies studies slice by slice: slices around the vertebrae, pooled to levels."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL
from cspine.detection.classifiers import Classification, Spot
from cspine.detection.clock import Clock
from cspine.detection.stack import slices_around, visible_levels
from cspine.evidence import HeatMap
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.imaging.slices import network_input
from cspine.locating import Located
from cspine.modelpack import PooledScores, SliceManifest, pool_slices
from cspine.runtime import Session
from cspine.volume import Volume

_BATCH = 32
"""Slices that the network sees at once: memory does not grow with the scan."""

_HEAT = "fracture_map"
"""The output that says where, of networks that have it: ``(n, rows, columns, 1)`` in cells of several pixels."""


class SliceClassifier:
    """A package of kind ``slices`` that is loaded; a :class:`cspine.detection.classifiers.Classifier`."""

    def __init__(self, manifest: SliceManifest, session: Session) -> None:
        self._spec, self._session = manifest.spec, session

    def __call__(self, volume: Volume, located: Located, clock: Clock) -> Classification:
        """See :class:`cspine.detection.classifiers.Classifier`."""
        with clock.stage("crop"):
            stack = sample(volume, slices_around(located, volume.grid, self._spec))
        with clock.stage("classify"):
            fracture, heat = self._run(stack)
            pooled = pool_slices(fracture, visible_levels(located, stack.grid))
        spots = tuple(_spot(level, located, pooled, stack.grid) for level in CERVICAL)
        return Classification(pooled.outputs, np.empty((0, len(pooled.outputs))), spots, heat)

    def _run(self, stack: Volume) -> tuple[NDArray[np.float32], HeatMap | None]:
        """Returns fracture scores by slice, ``(n, 7)``, and the heat map if the network has one."""
        count = stack.grid.shape[0]
        batches = [range(begin, min(begin + _BATCH, count)) for begin in range(0, count, _BATCH)]
        outputs = [self._session.run(network_input(stack, self._spec, batch)) for batch in batches]
        fracture = np.concatenate([output["fracture"] for output in outputs])
        heat = np.concatenate([output[_HEAT] for output in outputs])[..., 0] if _HEAT in outputs[0] else None
        return fracture, None if heat is None else HeatMap(heat, _cells(stack.grid, heat.shape))


def _spot(level: int, located: Located, pooled: PooledScores, slices: Grid) -> Spot | None:
    """Returns the middle of a vertebra, at the height of the slice with the most evidence."""
    vertebra = next((one for one in located.vertebrae if one.level == level), None)
    if vertebra is None or not pooled.in_view[level - 1]:
        return None
    x, y, _ = vertebra.centre_mm
    return Spot((x, y, float(slices.world((int(pooled.key_slice[level - 1]), 0, 0))[2])))


def _cells(slices: Grid, shape: tuple[int, ...]) -> Grid:
    """Returns the grid of cells that lie over whole slices."""
    z, y, x = slices.spacing_mm
    count, rows, columns = shape
    cell = (z, y * slices.shape[1] / rows, x * slices.shape[2] / columns)
    return replace(
        Grid.upright(slices.centre_mm, (count, rows, columns), cell), frame_of_reference_uid=slices.frame_of_reference_uid
    )
