"""A convolutional network from scratch on single slices: the first family.

It learns from parts of slices around the spine, 128 x 128 pixels of 0.5 mm, and serves on 224 x 224.

Command: ``cspine train custom_cnn --data DIR -o RUN``
Device: two processor cores.
Time: about 2200 s, as its variant with a map of fractures.
Score: none yet; custom_cnn_boxes has one.
Data: any folder in the RSNA 2022 layout.
"""

from cspine.networks.settings import CustomCNNSettings
from cspine.specs import SliceSpec
from cspine.training.slices.settings import AugmentationSettings, FitSettings, Recipe, SamplingSettings

NETWORK = CustomCNNSettings()
RECIPE = Recipe(
    name="custom_cnn",
    network=NETWORK,
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SamplingSettings(batch=16, batches=800, crop=(128, 128)),
    augmentation=AugmentationSettings(shift_mm=6.0),
    fit=FitSettings(epochs=12, learning_rate=2e-3, patience=12, fracture_map_weight=1.0),
)
