"""DenseNet121 (Huang et al., 2017), trained on photographs, fine-tuned on slices: the smallest of the three backbones.

It learns what a fracture looks like from patches of 32 mm first, and reads the evidence from cells of 8 pixels.

Without ImageNet's weights at hand: ``--weights PATH``, or ``--weights none`` to train it from scratch, all at once.

Command: ``cspine train densenet121 --data DIR -o RUN``; what was measured is from scratch and shorter, as the command below.
Device: one processor core with AMX.
Time: 3800 s, with other work beside.
Score: not trained to its plateau. AUROC of any fracture 0.785 (0.715 to 0.848), mean of levels 0.846, on 200 unseen phantoms
(docs/benchmarks.md): ``python -m benchmarks.families OUT --patch-steps 1800 --steps 1400 --precision mixed_bfloat16
--rows densenet121``
Data: 240 phantoms of seed 5001, six tenths of them fracture-enriched; calibrated on 60 of seed 5003. Any folder in the RSNA 2022
layout.
"""

from cspine.networks.options import BackboneName
from cspine.networks.settings import TransferSettings
from cspine.specs import SliceSpec
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.settings import FitSettings
from cspine.training.slices.settings import SliceAugmentation, SliceRecipe, SliceSamplingSettings

NETWORK = TransferSettings(backbone=BackboneName.DENSENET121, near=True, head_epochs=0, tuned_rate=1.0, tuned_normalisation=True)
"""Pretrained weights are where training begins; every layer learns at the full rate."""

RECIPE = SliceRecipe(
    name="densenet121",
    network=NETWORK,
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SliceSamplingSettings(crop=(128, 128)),
    augmentation=SliceAugmentation(shift_mm=6.0),
    patches=PatchSettings(epochs=12, batches=500, learning_rate=1e-3, mined=2000),
    heads=HeadSettings(epochs=1, learning_rate=1e-3),
    fit=FitSettings(epochs=20, batch=16, batches=600, learning_rate=3e-4, patience=10),
)
