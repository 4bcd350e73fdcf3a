"""InceptionResNetV2 (Szegedy et al., 2017), trained on photographs, fine-tuned on slices: the largest of the three backbones.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train inception_resnet_v2 --data DIR -o RUN``
Device: one processor thread, with other work beside, for the short training.
Time: 1057 s for the short training.
Score: not trained to its plateau. A short training from scratch, too short to find fractures, gives an AUROC of any fracture of
0.409 (0.290 to 0.522), of a level of 0.598 (0.512 to 0.672), on 100 unseen phantoms (docs/benchmarks.md):
``python -m benchmarks.families OUT --steps 1500 --rows inception_resnet_v2``
Data: 128 phantoms of seed 5001 for the short training. Any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.networks.options import BackboneName
from cspine.recipes.densenet121 import NETWORK
from cspine.recipes.densenet121 import RECIPE as PARENT

RECIPE = replace(PARENT, name="inception_resnet_v2", network=replace(NETWORK, backbone=BackboneName.INCEPTION_RESNET_V2))
