"""InceptionResNetV2 (Szegedy et al., 2017), trained on photographs, fine-tuned on slices: the largest of the three backbones.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train inception_resnet_v2 --data DIR -o RUN``
Device: one processor thread, with other work beside, for the ablation; the recipe as it stands has not been trained to its end.
Time: 1057 s for the ablation.
Score: AUROC of any fracture 0.409 (0.290 to 0.522), of a level 0.598 (0.512 to 0.672) on 100 unseen phantoms after 1500 steps from
scratch (``--weights none``); a short training of docs/benchmarks.md, not this recipe's
score.
Data: 128 phantoms of seed 5001 for the ablation. Any folder in the RSNA 2022 layout.
"""

from cspine.networks.options import BackboneName
from cspine.networks.settings import TransferSettings
from cspine.specs import SliceSpec
from cspine.training.core.settings import FitSettings
from cspine.training.slices.settings import SliceAugmentation, SliceRecipe, SliceSamplingSettings

RECIPE = SliceRecipe(
    name="inception_resnet_v2",
    network=TransferSettings(backbone=BackboneName.INCEPTION_RESNET_V2),
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SliceSamplingSettings(crop=(128, 128)),
    augmentation=SliceAugmentation(shift_mm=6.0),
    fit=FitSettings(epochs=20, batch=16, batches=600, learning_rate=1e-3, patience=10),
)
