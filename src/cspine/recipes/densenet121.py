"""DenseNet121 (Huang et al., 2017), trained on photographs, fine-tuned on slices: the smallest of the three backbones.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train densenet121 --data DIR -o RUN``
Device: not trained yet.
Time: not measured.
Score: none yet.
Data: any folder in the RSNA 2022 layout.
"""

from cspine.networks.settings import BackboneName, TransferSettings
from cspine.specs import SliceSpec
from cspine.training.slices.settings import AugmentationSettings, FitSettings, Recipe, SamplingSettings

NETWORK = TransferSettings(backbone=BackboneName.DENSENET121)
RECIPE = Recipe(
    name="densenet121",
    network=NETWORK,
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SamplingSettings(batch=16, batches=600, crop=(128, 128)),
    augmentation=AugmentationSettings(shift_mm=6.0),
    fit=FitSettings(epochs=20, learning_rate=1e-3),
)
