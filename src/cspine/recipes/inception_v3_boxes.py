"""As inception_v3, with a further map that learns from bounding boxes and says where a reader would draw one.

The map learns from studies with boxes; elsewhere it is unknown.

Command: ``cspine train inception_v3_boxes --data DIR -o RUN``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.inception_v3 import NETWORK
from cspine.recipes.inception_v3 import RECIPE as PARENT

RECIPE = replace(PARENT, name="inception_v3_boxes", network=replace(NETWORK, fracture_map=True))
