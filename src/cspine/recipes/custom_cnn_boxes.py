"""As custom_cnn, with a further map that learns from bounding boxes and says where a reader would draw one.

The map learns from studies with boxes; elsewhere it is unknown.

Command: ``cspine train custom_cnn_boxes --data DIR -o RUN``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.custom_cnn import NETWORK
from cspine.recipes.custom_cnn import RECIPE as PARENT

RECIPE = replace(PARENT, name="custom_cnn_boxes", network=replace(NETWORK, fracture_map=True))
