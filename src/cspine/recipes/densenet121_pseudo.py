"""As densenet121, with studies without masks: a network that knows where vertebrae are marks theirs.

The teacher is a finished run on the same data set and split, of any family that sees the same input or of a localiser, or a package
that finds vertebrae.

Command: ``cspine train densenet121_pseudo --data DIR -o RUN --teacher RUN_OR_PACKAGE``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from dataclasses import replace

from cspine.recipes.densenet121 import RECIPE as PARENT
from cspine.training.slices.settings import MaskUse

RECIPE = replace(PARENT, name="densenet121_pseudo", labels=replace(PARENT.labels, masks=MaskUse.TAUGHT))
