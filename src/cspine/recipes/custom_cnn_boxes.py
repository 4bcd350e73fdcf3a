"""As custom_cnn, with a further map that learns from bounding boxes and says where a reader would draw one.

The map learns from studies with boxes, and from the fractures of phantoms; elsewhere it is unknown.

Command: ``cspine train custom_cnn_boxes --data DIR -o RUN --set split.folds=10``
Device: two processor cores, shared with other work.
Time: 2200 s.
Score: AUROC of patient_overall 0.815 (0.752 to 0.878) on 200 unseen phantoms; docs/models.md has all.
Data: 400 phantoms of seed 3003, six tenths of them fracture-enriched; calibrated on 208 of seed 3001. Any folder in the
RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.custom_cnn import NETWORK
from cspine.recipes.custom_cnn import RECIPE as PARENT

RECIPE = replace(PARENT, name="custom_cnn_boxes", network=replace(NETWORK, fracture_map=True))
