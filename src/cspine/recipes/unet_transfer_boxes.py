"""As unet_transfer, with a further map that learns from bounding boxes and says where a reader would draw one.

The map learns from studies with boxes; elsewhere it is unknown.

Command: ``cspine train unet_transfer_boxes --data DIR -o RUN``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.unet_transfer import NETWORK
from cspine.recipes.unet_transfer import RECIPE as PARENT

RECIPE = replace(PARENT, name="unet_transfer_boxes", network=replace(NETWORK, fracture_map=True))
