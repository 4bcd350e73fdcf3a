"""A convolutional network from scratch on single slices: the first family.

It learns from parts of slices around the spine, 128 x 128 pixels of 0.5 mm, and serves on 224 x 224. With ``--boxes`` a further map
learns from bounding boxes, and from the fracture masks of phantoms, where a reader would draw one; elsewhere it is unknown.

Command: ``cspine train custom_cnn --data DIR -o RUN --boxes --set split.folds=10``
Device: two processor cores, shared with other work.
Time: 2200 s.
Score: AUROC of any fracture 0.815 (0.752 to 0.878) on 200 unseen phantoms, with ``--boxes``; without, only the ablation of
docs/benchmarks.md was measured (1500 steps: 0.420, 0.301 to 0.533).
Data: 400 phantoms of seed 3003, six tenths of them fracture-enriched; calibrated on 208 of seed 3001. Any folder in the RSNA 2022
layout.
"""

from cspine.networks.settings import CustomCNNSettings
from cspine.specs import SliceSpec
from cspine.training.core.settings import FitSettings
from cspine.training.slices.settings import SliceAugmentation, SliceLossWeights, SliceRecipe, SliceSamplingSettings

RECIPE = SliceRecipe(
    name="custom_cnn",
    network=CustomCNNSettings(),
    input=SliceSpec(spacing_mm=(1.2, 0.5, 0.5), size=(224, 224), neighbours=1, window_hu=(-200.0, 1300.0)),
    sampling=SliceSamplingSettings(crop=(128, 128)),
    augmentation=SliceAugmentation(shift_mm=6.0),
    losses=SliceLossWeights(fracture_map=1.0),
    fit=FitSettings(epochs=12, batch=16, batches=800, learning_rate=2e-3, patience=12),
)
