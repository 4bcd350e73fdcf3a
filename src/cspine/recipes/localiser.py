"""A U-Net in space that finds C1 to C7, trained on synthetic necks, and on the masks of a data set where one is given.

It sees windows of 160 x 200 x 200 mm in voxels of 2.5 mm.

Command: ``cspine train localiser -o RUN``, with ``--data DIR`` to learn from its masks too
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: none; it makes its necks. Or any folder in the RSNA 2022 layout with masks.
"""

from cspine.networks.settings import UNet3DSettings
from cspine.specs import VolumeSpec
from cspine.training.localiser.recipe import LocaliserRecipe
from cspine.training.recipe import FitSettings

RECIPE = LocaliserRecipe(
    name="localiser",
    network=UNet3DSettings(),
    input=VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(64, 80, 80), window_hu=(-300.0, 1300.0)),
    fit=FitSettings(epochs=16, learning_rate=2e-3),
)
