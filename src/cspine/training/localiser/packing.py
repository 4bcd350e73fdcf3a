"""Networks of any window, as packages hold them: whole windows are checked, a small one is stored."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.modelpack import Samples
from cspine.networks.unet3d import of_any_window
from cspine.specs import RefinerSpec
from cspine.training.core.packages import PackagedNetwork

TOLERANCES = {"f32": 0.05, "bf16": 0.1}
"""By how much the probability of any one voxel may change by export, by precision: maps are normalised by sums over a whole window,
a quarter of a million numbers, which engines add up in different orders. Half of the precision may change the least sure voxels, on
borders; what is found of the vertebrae is evaluated by ``python -m benchmarks.localiser``, with the package as it is served."""

_STEPS = 255
_SAMPLE = 32
"""Voxels of the sides of a stored sample: networks take any window, so a small one says enough and takes little room."""


@dataclass(frozen=True, slots=True, eq=False)
class FineNetwork:
    """The network of a refiner, which is packed beside a localiser.

    Attributes:
        recipe: Name of its recipe.
        input: What it is fed.
        packed: The network.
    """

    recipe: str
    input: RefinerSpec
    packed: PackagedNetwork


def packed(role: str, trained: keras.Model, windows: NDArray[np.float32]) -> PackagedNetwork:
    """Returns a network of any window, with samples: whole windows are checked, a small one is stored."""
    network = of_any_window(trained)
    whole = _predicted(trained, windows)
    return PackagedNetwork(role, network, _predicted(network, _middle(whole.inputs[:1])), (whole,), TOLERANCES)


def _predicted(network: keras.Model, windows: NDArray[np.float32]) -> Samples:
    """Returns windows in steps that compress well, and what a network predicts for them."""
    inputs = (np.rint(windows * _STEPS) / _STEPS).astype(np.float32)
    outputs = network.predict_on_batch(inputs)
    return Samples(inputs, {name: np.asarray(output, dtype=np.float32) for name, output in outputs.items()})


def _middle(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    z, y, x = (slice((side - _SAMPLE) // 2, (side + _SAMPLE) // 2) for side in windows.shape[1:4])
    return windows[:, z, y, x]
