"""A U-Net in space that finds C1 to C7, trained on synthetic necks, and on the masks of a data set where one is given.

It sees windows of 160 mm in voxels of 2.5 mm. In the run below the first five and a half epochs followed a schedule of 12, the
rest one of 16.

Command: ``cspine train localiser -o RUN``, with ``--data DIR`` to learn from its masks too
Device: two processor cores, with other work beside.
Time: 84 minutes.
Score: docs/locating.md.
Data: none; it makes its necks. Or any folder in the RSNA 2022 layout with masks.
"""

from cspine.networks.settings import UNet3DSettings
from cspine.specs import VolumeSpec
from cspine.training.localiser.recipe import LocaliserRecipe, PoolSettings
from cspine.training.recipe import FitSettings

RECIPE = LocaliserRecipe(
    name="localiser",
    network=UNet3DSettings(),
    input=VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(64, 64, 64), window_hu=(-300.0, 1300.0)),
    pool=PoolSettings(necks=920, margin=(24, 40, 40)),
    fit=FitSettings(epochs=16, learning_rate=2e-3),
)
