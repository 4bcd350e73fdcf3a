"""A convolutional network from scratch on single slices: the first family.

It learns what a fracture looks like from patches of 32 mm first, then from parts of slices around the spine, 128 x 128 pixels of
0.5 mm, and serves on 224 x 224. With ``--boxes`` a further map
learns from bounding boxes, and from the fracture masks of phantoms, where a reader would draw one; elsewhere it is unknown.

Command: ``cspine train custom_cnn --data DIR -o RUN --boxes``; what was measured stopped earlier, ``--set split.folds=10 --set
fit.epochs=7``
Device: one processor core, with other work beside.
Time: 3600 s.
Score: AUROC of any fracture 0.896 (0.847 to 0.940), mean of levels 0.957, on 200 unseen phantoms, with ``--boxes``
(docs/benchmarks.md): ``python -m benchmarks.packages --data natural -o OUT custom_cnn_phantoms``
Without ``--boxes`` it has not been trained to its plateau.
Data: 240 phantoms of seed 5001, six tenths of them fracture-enriched; calibrated on 60 of seed 5003. Any folder in the RSNA 2022
layout.
"""

from cspine.networks.settings import CustomCNNSettings
from cspine.specs import SliceSpec
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.settings import FitSettings
from cspine.training.slices.settings import SliceAugmentation, SliceLossWeights, SliceRecipe, SliceSamplingSettings

RECIPE = SliceRecipe(
    name="custom_cnn",
    network=CustomCNNSettings(),
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SliceSamplingSettings(crop=(128, 128)),
    augmentation=SliceAugmentation(shift_mm=6.0),
    losses=SliceLossWeights(fracture_map=1.0),
    patches=PatchSettings(epochs=12, batches=500, mined=2000),
    heads=HeadSettings(epochs=1),
    fit=FitSettings(epochs=12, batch=16, batches=800, learning_rate=2e-3, patience=12),
)
