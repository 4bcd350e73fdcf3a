"""A U-Net finds the vertebrae; a backbone that was trained on photographs classifies its maps and the slice.

The maps learn from slices of studies with masks (Dice and cross-entropy), the fracture from all. ``--backbone NAME`` takes
another backbone than the smallest.

Command: ``cspine train unet_transfer --data DIR -o RUN``
Device: one processor thread, with other work beside, for the ablation; the recipe as it stands has not been trained to its end.
Time: 416 s for the ablation.
Score: AUROC of any fracture 0.495 (0.430 to 0.555), of a level 0.503 (0.479 to 0.537) on 100 unseen phantoms after 1500 steps from
scratch (``--weights none``); a short training of docs/benchmarks.md, not this recipe's score.
Data: 128 phantoms of seed 5001 for the ablation. Any folder in the RSNA 2022 layout.
"""

from cspine.networks.options import BackboneName
from cspine.networks.settings import UNetTransferSettings
from cspine.specs import SliceSpec
from cspine.training.core.settings import FitSettings
from cspine.training.slices.settings import SliceAugmentation, SliceRecipe, SliceSamplingSettings

RECIPE = SliceRecipe(
    name="unet_transfer",
    network=UNetTransferSettings(backbone=BackboneName.DENSENET121),
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SliceSamplingSettings(crop=(128, 128)),
    augmentation=SliceAugmentation(shift_mm=6.0),
    fit=FitSettings(epochs=20, batch=16, batches=600, learning_rate=1e-3, patience=10),
)
