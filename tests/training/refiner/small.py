"""A refiner so small that it is trained in a second."""

from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import RefinerSpec
from cspine.training.core.settings import FitSettings
from cspine.training.localiser.settings import VolumeAugmentation
from cspine.training.refiner.settings import RefinerRecipe, StripSettings

SPEC = RefinerSpec(spacing_mm=(4.0, 4.0, 4.0), size=(16, 16, 24), window_hu=(-300.0, 1300.0), guide_step=1)
RECIPE = RefinerRecipe(
    name="refiner",
    network=UNet3DSettings(widths=(4, 8)),
    input=SPEC,
    pool=StripSettings(necks=3, held_out=2, size=(48, 32, 32)),
    augmentation=VolumeAugmentation(empty_share=0.0),
    fit=FitSettings(epochs=2, batch=2, batches=3, learning_rate=0.01, threads=1, checkpoint_minutes=60.0),
    seed=3,
)
