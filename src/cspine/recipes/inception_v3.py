"""InceptionV3 (Szegedy et al., 2016), trained on photographs, fine-tuned on slices.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train inception_v3 --data DIR -o RUN``
Device: one processor core with AMX.
Time: 2.1 hours from photographs, with other work beside: 57,600 patches and 78,400 slices.
Score: AUROC of any fracture 0.937 (0.896 to 0.970), mean of levels 0.978, on 200 unseen phantoms, from weights that were trained
on photographs (docs/benchmarks.md): ``python -m benchmarks.families OUT --patch-steps 1200 --patch-epochs 4 --steps 4200 --epochs 6
--precision mixed_bfloat16 --photographs FILE --rows inception_v3_photographs``
Data: 240 phantoms of seed 5001, six tenths of them fracture-enriched; calibrated on 60 of seed 5003. Any folder in the RSNA 2022
layout.
"""

from dataclasses import replace

from cspine.networks.options import BackboneName
from cspine.recipes.densenet121 import NETWORK
from cspine.recipes.densenet121 import RECIPE as PARENT

RECIPE = replace(PARENT, name="inception_v3", network=replace(NETWORK, backbone=BackboneName.INCEPTION_V3))
