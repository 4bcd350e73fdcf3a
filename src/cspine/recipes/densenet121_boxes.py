"""As densenet121, with a further map that learns from bounding boxes and says where a reader would draw one.

The map learns from studies with boxes; elsewhere it is unknown.

Command: ``cspine train densenet121_boxes --data DIR -o RUN``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.densenet121 import NETWORK
from cspine.recipes.densenet121 import RECIPE as PARENT

RECIPE = replace(PARENT, name="densenet121_boxes", network=replace(NETWORK, fracture_map=True))
