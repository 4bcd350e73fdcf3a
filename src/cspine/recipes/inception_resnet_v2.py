"""InceptionResNetV2 (Szegedy et al., 2017), trained on photographs, fine-tuned on slices: the largest of the three backbones.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train inception_resnet_v2 --data DIR -o RUN``; what was measured is from scratch and shorter, as the command
below.
Device: one processor core with AMX.
Time: 5800 s, with other work beside.
Score: not trained to its plateau. AUROC of any fracture 0.798 (0.727 to 0.859), mean of levels 0.904, on 200 unseen phantoms
(docs/benchmarks.md): ``python -m benchmarks.families OUT --patch-steps 1800 --steps 1400 --precision mixed_bfloat16
--rows inception_resnet_v2``
Data: 240 phantoms of seed 5001, six tenths of them fracture-enriched; calibrated on 60 of seed 5003. Any folder in the RSNA 2022
layout.
"""

from dataclasses import replace

from cspine.networks.options import BackboneName
from cspine.recipes.densenet121 import NETWORK
from cspine.recipes.densenet121 import RECIPE as PARENT

RECIPE = replace(PARENT, name="inception_resnet_v2", network=replace(NETWORK, backbone=BackboneName.INCEPTION_RESNET_V2))
