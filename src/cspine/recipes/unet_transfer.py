"""A U-Net finds the vertebrae; its maps and the slice are judged by a backbone that was trained on photographs.

The maps learn from slices of studies with masks (Dice and cross-entropy), the fracture from all. ``--backbone NAME`` takes
another backbone than the smallest.

Command: ``cspine train unet_transfer --data DIR -o RUN``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from cspine.networks.settings import BackboneName, UNetTransferSettings
from cspine.specs import SliceSpec
from cspine.training.slices.settings import AugmentationSettings, FitSettings, Recipe, SamplingSettings

NETWORK = UNetTransferSettings(backbone=BackboneName.DENSENET121)
RECIPE = Recipe(
    name="unet_transfer",
    network=NETWORK,
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SamplingSettings(batch=16, batches=600, crop=(128, 128)),
    augmentation=AugmentationSettings(shift_mm=6.0),
    fit=FitSettings(epochs=20, learning_rate=1e-3),
)
