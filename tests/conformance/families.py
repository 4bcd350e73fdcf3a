"""Every family of slice networks, as small as it can be built, and what it is tried on."""

from dataclasses import dataclass, replace

import numpy as np

from cspine.geometry import Grid
from cspine.networks.options import BackboneName
from cspine.networks.settings import (
    CustomCNNSettings,
    NetworkSettings,
    PretrainedSettings,
    TransferSettings,
    UNetTransferSettings,
)
from cspine.specs import SliceSpec
from cspine.training.core.loop import TrainingTask
from cspine.training.core.settings import FitSettings
from cspine.training.slices.batches import Batch
from cspine.training.slices.family import HeldOutSlices, SliceFold, slice_task
from cspine.training.slices.settings import SliceRecipe
from cspine.training.slices.stacks import SliceStack
from tests.training.synthetic import Silent, stack

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(64, 64), neighbours=1, window_hu=(-200.0, 1300.0))
"""The smallest slice that every backbone takes."""


@dataclass(frozen=True)
class Family:
    """A family at its smallest; where it is pretrained, as if it were."""

    settings: NetworkSettings

    @property
    def recipe(self) -> SliceRecipe:
        """Returns a recipe of few steps on few slices."""
        return SliceRecipe(
            name="family",
            network=self.settings,
            input=SPEC,
            fit=FitSettings(epochs=4, batch=4, batches=20, learning_rate=0.02, threads=1),
            seed=3,
        )

    @property
    def whole(self) -> SliceRecipe:
        """Returns the same recipe, in which everything learns at once."""
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
            BackboneName.INCEPTION_RESNET_V2, widths=(4, 4, 6), head_width=8, dropout=0.1, head_epochs=2, fracture_map=True
        )
    ),
}


def large(small: SliceStack) -> SliceStack:
    """Returns a study of :mod:`tests.training.synthetic` in twice as many rows and columns, air around it."""
    around = ((0, 0), (16, 16), (16, 16))
    return SliceStack(
        small.case,
        np.pad(small.hu, around, constant_values=-1000),
        np.pad(small.marks, around),
        Grid.upright((0, 0, 0), (len(small.hu), *SPEC.size), SPEC.spacing_mm),
    )


def task_of(recipe: SliceRecipe) -> TrainingTask[HeldOutSlices]:
    """Returns what a family learns from a few studies: some broken, one without a mask, one without boxes."""
    stacks = [stack(0, 2), stack(1, 5, boxes=False), stack(2, 4, mask=False), stack(3, None)]
    return slice_task(recipe, SliceFold(0, [large(one) for one in stacks], []), Silent())


def batch(recipe: SliceRecipe) -> Batch:
    """Returns slices of these studies."""
    found: Batch = task_of(recipe).batches(0, 0)[0]
    return found
