"""Every family of slice networks, as small as it can be built, and what it is tried on."""

from dataclasses import dataclass, replace

import numpy as np

from cspine.geometry import Grid
from cspine.networks.settings import (
    BackboneName,
    CustomCNNSettings,
    NetworkSettings,
    PretrainedSettings,
    TransferSettings,
    UNetTransferSettings,
)
from cspine.specs import SliceSpec
from cspine.training.slices.batches import Batch, Sample, SliceBatches
from cspine.training.slices.settings import FitSettings, Recipe, SamplingSettings
from cspine.training.slices.stacks import Stack
from tests.training.synthetic import stack

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(64, 64), neighbours=1, window_hu=(-200.0, 1300.0))
"""The smallest slice that every backbone takes."""


@dataclass(frozen=True)
class Family:
    """A family at its smallest; where it is pretrained, as if it were."""

    settings: NetworkSettings

    @property
    def recipe(self) -> Recipe:
        """Few steps on few slices."""
        return Recipe(
            name="family",
            network=self.settings,
            input=SPEC,
            sampling=SamplingSettings(batch=4, batches=20),
            fit=FitSettings(epochs=4, learning_rate=0.02, threads=1),
            seed=3,
        )

    @property
    def whole(self) -> Recipe:
        """The same, learning all at once."""
        settings = self.settings
        return (
            replace(self.recipe, network=replace(settings, weights="none"))
            if isinstance(settings, PretrainedSettings)
            else self.recipe
        )


def _transfer(backbone: BackboneName, *, near: bool = False) -> Family:
    return Family(TransferSettings(backbone, head_width=8, dropout=0.1, head_epochs=2, near=near))


FAMILIES = {
    "custom_cnn": Family(CustomCNNSettings(widths=(4, 4, 4, 4), head_width=6, dropout=0.1)),
    "custom_cnn_boxes": Family(CustomCNNSettings(widths=(4, 4, 4, 4), head_width=6, dropout=0.1, fracture_map=True)),
    "densenet121": _transfer(BackboneName.DENSENET121, near=True),
    "inception_v3": _transfer(BackboneName.INCEPTION_V3),
    "inception_resnet_v2": _transfer(BackboneName.INCEPTION_RESNET_V2),
    "unet_transfer_boxes": Family(
        UNetTransferSettings(
            BackboneName.INCEPTION_V3, widths=(4, 4, 6), head_width=8, dropout=0.1, head_epochs=2, fracture_map=True
        )
    ),
}


def large(small: Stack) -> Stack:
    """A study of :mod:`tests.training.synthetic` in twice as many rows and columns, air around it."""
    around = ((0, 0), (16, 16), (16, 16))
    return Stack(
        small.case,
        np.pad(small.hu, around, constant_values=-1000),
        np.pad(small.marks, around),
        Grid.upright((0, 0, 0), (len(small.hu), *SPEC.size), SPEC.spacing_mm),
    )


def batch(recipe: Recipe) -> Batch:
    """Slices of a few studies: some broken, one without a mask, one without boxes."""
    stacks = [stack(0, 2), stack(1, 5, boxes=False), stack(2, 4, mask=False), stack(3, None)]
    return SliceBatches([Sample.of(large(one), recipe) for one in stacks], recipe, epoch=0)[0]
