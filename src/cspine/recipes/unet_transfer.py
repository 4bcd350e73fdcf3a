"""A U-Net finds the vertebrae; a backbone that was trained on photographs classifies its maps and the slice.

The maps learn from slices of studies with masks (Dice and cross-entropy), the fracture from all. ``--backbone NAME`` takes
another backbone than the smallest.

Command: ``cspine train unet_transfer --data DIR -o RUN``
Device: one processor core with AMX.
Time: 1.5 hours on InceptionV3 from photographs, with other work beside: 57,600 patches and 78,400 slices.
Score: not trained to its plateau. AUROC of any fracture 0.878 (0.828 to 0.924), mean of levels 0.943, on 200 unseen phantoms, on
InceptionV3 from weights that were trained on photographs (docs/benchmarks.md): ``python -m benchmarks.families OUT
--patch-steps 1200 --patch-epochs 4 --steps 4200 --epochs 6 --precision mixed_bfloat16 --photographs FILE
--rows unet_transfer_photographs``, when the map of boxes was still the U-Net's.
Data: 240 phantoms of seed 5001, six tenths of them fracture-enriched; calibrated on 60 of seed 5003. Any folder in the RSNA 2022
layout.
"""

from dataclasses import replace

from cspine.networks.options import BackboneName
from cspine.networks.settings import UNetTransferSettings
from cspine.recipes.densenet121 import RECIPE as PARENT

RECIPE = replace(
    PARENT,
    name="unet_transfer",
    network=UNetTransferSettings(
        backbone=BackboneName.DENSENET121, near=True, head_epochs=0, tuned_rate=1.0, tuned_normalisation=True
    ),
)
