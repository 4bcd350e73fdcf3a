"""A 3-D U-Net that tells one vertebra from its neighbours, trained on synthetic necks alone.

It sees crops of 60 x 80 x 100 mm in voxels of 1.25 mm, around a vertebra that the localiser found. What ships had 1700 crops of a
first run and then 7000, as told here.

Command: ``cspine train refiner -o RUN``, with ``--set initial_weights=localiser`` to go on from what ships
Device: two processor cores, with other work beside.
Time: 69 minutes.
Score: Dice of C1 to C7 0.911 (0.905 to 0.917) on 40 unseen phantoms, with the localiser (docs/benchmarks.md):
``python -m benchmarks.localiser unseen-40 -o FILE.json``
Data: none; it makes its necks.
"""

from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import RefinerSpec
from cspine.training.core.settings import FitSettings
from cspine.training.localiser.settings import VolumeAugmentation
from cspine.training.refiner.settings import RefinerRecipe, StripSettings

RECIPE = RefinerRecipe(
    name="refiner",
    network=UNet3DSettings(widths=(8, 16, 32, 64)),
    input=RefinerSpec(spacing_mm=(1.25, 1.25, 1.25), size=(48, 64, 80), window_hu=(-300.0, 1300.0)),
    pool=StripSettings(necks=600),
    augmentation=VolumeAugmentation(scale=0.05, elastic_mm=1.0, truncation_share=0.06, noise_hu=140.0, empty_share=0.0),
    fit=FitSettings(epochs=14, batch=1, batches=500, learning_rate=1.5e-3),
)
