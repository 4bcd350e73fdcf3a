"""InceptionV3 (Szegedy et al., 2016), trained on photographs, fine-tuned on slices.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train inception_v3 --data DIR -o RUN``
Device: one processor thread, with other work beside, for the short training.
Time: 450 s for the short training.
Score: not trained to its plateau. From photographs, after four epochs of patches, AUROC of patches is 0.905; on slices that was
not evaluated. A short training from scratch, too short to find fractures, gives an AUROC of any fracture of
0.418 (0.301 to 0.534), of a level of 0.443 (0.401 to 0.496), on 100 unseen phantoms (docs/benchmarks.md):
``python -m benchmarks.families OUT --steps 1500 --rows inception_v3``
Data: 128 phantoms of seed 5001 for the short training. Any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.networks.options import BackboneName
from cspine.recipes.densenet121 import NETWORK
from cspine.recipes.densenet121 import RECIPE as PARENT

RECIPE = replace(PARENT, name="inception_v3", network=replace(NETWORK, backbone=BackboneName.INCEPTION_V3))
