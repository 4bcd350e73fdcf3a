"""A localiser so small that it is trained in a second."""

from cspine.networks.volume_settings import UNet3DSettings
from cspine.specs import VolumeSpec
from cspine.training.core.settings import FitSettings
from cspine.training.localiser.settings import LocaliserRecipe, PoolSettings

SPEC = VolumeSpec(spacing_mm=(8.0, 8.0, 8.0), size=(16, 16, 16), window_hu=(-300.0, 1300.0))
RECIPE = LocaliserRecipe(
    name="localiser",
    network=UNet3DSettings(widths=(4, 8)),
    input=SPEC,
    pool=PoolSettings(necks=3, held_out=2, margin=(6, 6, 6)),
    fit=FitSettings(epochs=2, batch=1, batches=4, learning_rate=0.01, threads=1, checkpoint_minutes=60.0),
    seed=3,
)
