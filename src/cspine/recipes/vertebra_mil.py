"""The flagship: each vertebra is classified slice by slice, and then the seven together.

It sees 16 slices of each vertebra, 64 x 80 mm in pixels of 0.5 mm, each with two neighbours on either side and the mask of
the vertebra.

``--backbone NAME`` takes a backbone that was trained on photographs, for which a GPU is needed (docs/explanation/flagship.md).

Command: ``cspine train vertebra_mil --data DIR -o RUN``; package 6 was trained without coarse scans first, and went on with
``--set initial_weights=FIRST/fold-0/last.keras --set fit.epochs=8``
Device: two processor cores, with other work beside.
Time: 61 minutes for 432 synthetic studies and 55 to go on, after cutting crops, twice 3 processor seconds a study.
Score: AUROC of any fracture 0.972 (0.944 to 0.995), mean of levels 0.989, on 200 unseen phantoms, of package 6, which was
trained so (docs/benchmarks.md): ``python -m benchmarks.packages --data natural -o OUT PACKAGE_6``
Data: any folder in the RSNA 2022 layout; vertebrae are where masks say, or where the localiser finds them.
"""

from cspine.networks.volume_settings import VertebraMILSettings
from cspine.specs import VertebraSpec
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.settings import FitSettings
from cspine.training.vertebrae.settings import VertebraLossWeights, VertebraRecipe

RECIPE = VertebraRecipe(
    name="vertebra_mil",
    network=VertebraMILSettings(widths=(24, 48, 96, 128), close=32),
    input=VertebraSpec(
        spacing_mm=(1.0, 0.5, 0.5),
        depth=51,
        size=(128, 160),
        slices=16,
        neighbours=2,
        window_hu=(-200.0, 1700.0),
        margin_mm=6.0,
        neighbour_weight=0.3,
    ),
    patches=PatchSettings(epochs=20, batches=500),
    heads=HeadSettings(epochs=3, learning_rate=2e-3),
    losses=VertebraLossWeights(fracture_map=5.0),
    fit=FitSettings(epochs=6, batch=2, batches=150, learning_rate=3e-4),
)
