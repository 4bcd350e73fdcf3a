"""DenseNet121 (Huang et al., 2017), trained on photographs, fine-tuned on slices: the smallest of the three backbones.

It learns what a fracture looks like from patches of 32 mm first. The short training below was without.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train densenet121 --data DIR -o RUN``
Device: one processor thread, with other work beside, for the short training.
Time: 338 s for the short training.
Score: not trained to its plateau. A short training from scratch, too short to find fractures, gives an AUROC of any fracture of
0.444 (0.323 to 0.552), of a level of 0.544 (0.434 to 0.660), on 100 unseen phantoms (docs/benchmarks.md):
``python -m benchmarks.families OUT --steps 1500 --rows densenet121``
Data: 128 phantoms of seed 5001 for the short training. Any folder in the RSNA 2022 layout.
"""

from cspine.networks.options import BackboneName
from cspine.networks.settings import TransferSettings
from cspine.specs import SliceSpec
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.settings import FitSettings
from cspine.training.slices.settings import SliceAugmentation, SliceRecipe, SliceSamplingSettings

RECIPE = SliceRecipe(
    name="densenet121",
    network=TransferSettings(backbone=BackboneName.DENSENET121),
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SliceSamplingSettings(crop=(128, 128)),
    augmentation=SliceAugmentation(shift_mm=6.0),
    patches=PatchSettings(epochs=12, batches=500, learning_rate=1e-3, mined=2000),
    heads=HeadSettings(epochs=1, learning_rate=1e-3),
    fit=FitSettings(epochs=20, batch=16, batches=600, learning_rate=1e-3, patience=10),
)
