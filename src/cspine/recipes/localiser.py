"""A 3-D U-Net that finds C1 to C7, trained on synthetic necks, and on the masks of a data set where one is given.

It sees windows of 200 x 160 x 160 mm in voxels of 2.5 mm. What ships had 8000 windows of 160 mm first, then 5000 of these, and 3000
that lean farther and are dimmer, as told here; then 16,300 more, half of them of planning CT with pseudo-labels, with other
settings. Its weights are the mean of those before and after the last 4800 (docs/how-to/train-the-shipped-packages.md).

Command: ``cspine train localiser -o RUN``, with ``--data DIR`` to learn from its masks too, ``--set
initial_weights=localiser`` to go on from what ships
Device: two processor cores, with other work beside.
Time: 84 minutes, 56 and 26 for the first three; 58 and 22 for the two rounds of package 6, then 85, 96, 78 and 110 on a slower one.
Score: Dice of C1 to C7 0.911 (0.905 to 0.917) on 40 unseen phantoms, with the refiner (docs/benchmarks.md):
``python -m benchmarks.localiser unseen-40 -o FILE.json``
Data: none; it makes its necks. Or any folder in the RSNA 2022 layout with masks.
"""

from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import VolumeSpec
from cspine.training.core.settings import FitSettings
from cspine.training.localiser.settings import LocaliserRecipe, PoolSettings, VolumeAugmentation

RECIPE = LocaliserRecipe(
    name="localiser",
    network=UNet3DSettings(),
    input=VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(80, 64, 64), window_hu=(-300.0, 1300.0)),
    pool=PoolSettings(necks=920, margin=(8, 40, 40)),
    augmentation=VolumeAugmentation(turn_deg=14.0, blur_voxels=0.7),
    fit=FitSettings(epochs=16, batch=1, batches=500, learning_rate=2e-3),
)
