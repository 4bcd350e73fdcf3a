"""A U-Net finds the vertebrae; a backbone that was trained on photographs classifies its maps and the slice.

The maps learn from slices of studies with masks (Dice and cross-entropy), the fracture from all. ``--backbone NAME`` takes
another backbone than the smallest.

Command: ``cspine train unet_transfer --data DIR -o RUN``
Device: one processor thread, with other work beside, for the short training.
Time: 416 s for the short training.
Score: not trained to its plateau. A short training from scratch, too short to find fractures, gives an AUROC of any fracture of
0.495 (0.430 to 0.555), of a level of 0.503 (0.479 to 0.537), on 100 unseen phantoms (docs/benchmarks.md):
``python -m benchmarks.families OUT --steps 1500 --rows unet_transfer``
Data: 128 phantoms of seed 5001 for the short training. Any folder in the RSNA 2022 layout.
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
