"""Holds what a package of slice networks has beside them: samples of their outputs, and the text of its card."""

from collections.abc import Sequence

import keras
import numpy as np

from cspine.modelpack import Samples, SliceManifest
from cspine.specs import SliceSpec
from cspine.training.core.ensemble import PackagedFolds
from cspine.training.core.packages import CardText
from cspine.training.slices.stacks import SliceStack

SERVED = ("fracture", "visible", "fracture_map")
"""Outputs that a package has, where the network has them: the service needs the first two."""

SAMPLES = 8
"""How many slices a package brings with it."""

INTENDED_USE = (
    "Research on finding fractures of the cervical spine (C1 to C7) on CT. Not a medical device, not for diagnosis, not for any "
    "decision about a patient."
)

_STEPS = 255

_NETWORK = """\
A `{recipe}` network that classifies one axial slice at a time: {rows} x {columns} pixels of {y:g} x {x:g} mm, every {z:g} mm, with
{neighbours} neighbour(s) above and below, {low:g} to {high:g} HU. For each of C1 to C7 it says how much of the vertebra is in the
slice and whether it looks fractured there. Slices become vertebrae by the pooling `{pooling}`; scores become probabilities by a
line through their logits (Platt, 1999)."""
_LABELS = """\
Labels: the label of the study for a level times how much of the level is in the slice; where a study has boxes, slices of
  a fractured level count as fractured where a box is on the level; in a phantom, where its fracture is."""
_INTERVALS = """\
Intervals are bootstraps over patients. Held-out studies also chose the epoch, or the calibration and the thresholds, which
flatters a little; unseen studies did not."""


def slice_samples(network: keras.Model, stacks: Sequence[SliceStack], spec: SliceSpec) -> Samples:
    """Returns slices from the middle of some studies, in steps that compress well, and what the trained network says about them."""
    slices = []
    for i in range(SAMPLES):
        stack = stacks[i * len(stacks) // SAMPLES]
        number = len(stack.hu) * (2 + i % 5) // 8
        slices.append(stack.input(spec, number, number + 1)[0])
    inputs = (np.rint(np.stack(slices) * _STEPS) / _STEPS).astype(np.float32)
    outputs = network.predict_on_batch(inputs)
    return Samples(inputs, {name: np.asarray(outputs[name], np.float32) for name in SERVED if name in outputs})


def slice_card(packed: PackagedFolds, manifest: SliceManifest) -> CardText:
    """Returns what the card of a package says of its networks."""
    spec, training = manifest.spec, manifest.training
    (z, y, x), (low, high), (rows, columns) = spec.spacing_mm, spec.window_hu, spec.size
    shown = {"rows": rows, "columns": columns, "z": z, "y": y, "x": x, "low": low, "high": high, "neighbours": spec.neighbours}
    return CardText(
        networks=_NETWORK.format(recipe=training.recipe, pooling=manifest.pooling, **shown),
        risk="it may miss every fracture and find fractures where there are none",
        training=(
            *packed.lines(training.patients, "were held out and chose the epoch"),
            _LABELS,
        ),
        intervals=_INTERVALS,
    )
