"""The flagship: a close look at each vertebra, slice by slice, and a judgement of the seven together.

It sees 16 slices of each vertebra, 64 x 80 mm in pixels of 0.5 mm, each with two neighbours on either side and the mask of
the vertebra.

Command: ``cspine train vertebra_mil --data DIR -o RUN``; what ships was trained without coarse scans first, and went on with
``--set start=FIRST/fold-0/best.keras --set fit.epochs=8``
Device: two processor cores, with other work beside.
Time: 61 minutes for 432 synthetic studies and 55 to go on, after cutting crops, twice 3 processor seconds a study.
Score: AUROC 0.956 for any fracture, 0.964 for a level, on unseen necks; docs/models.md.
Data: any folder in the RSNA 2022 layout; vertebrae are where masks say, or where the localiser finds them.
"""

from cspine.networks.volume_settings import VertebraMILSettings
from cspine.specs import VertebraSpec
from cspine.training.slices.settings import FitSettings
from cspine.training.vertebrae.settings import HeadSettings, PatchSettings, VertebraRecipe

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
    batches=150,
    fit=FitSettings(epochs=6, learning_rate=3e-4, fracture_map_weight=5.0),
)
