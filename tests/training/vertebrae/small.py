"""Studies small enough to train on in seconds: a grey block is a vertebra, a white spot its fracture."""

from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets import Case, SliceBox
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.specs import VertebraSpec
from cspine.training.core.marks import BOX_BIT
from cspine.training.core.part_settings import HeadSettings, PatchSettings
from cspine.training.core.settings import FitSettings
from cspine.training.vertebrae.crops import StudyCrops
from cspine.training.vertebrae.settings import CropAugmentation, CropSettings, VertebraRecipe

SPEC = VertebraSpec(
    spacing_mm=(2.0, 2.0, 2.0), depth=8, size=(32, 32), slices=4, neighbours=1, window_hu=(-200.0, 1300.0), mask_blur_mm=0.0
)
NETWORK = VertebraMILSettings(widths=(4, 4, 6, 8), width=8, mixers=1, heads=2, dropout=0.1)
RECIPE = VertebraRecipe(
    name="vertebra_mil",
    network=NETWORK,
    input=SPEC,
    crops=CropSettings(spare=(2, 4, 4)),
    patches=PatchSettings(size=(32, 32), batch=4, batches=3, epochs=0, held_out=8),
    heads=HeadSettings(epochs=0),
    fit=FitSettings(epochs=2, batch=2, batches=3, learning_rate=0.01, threads=1, checkpoint_minutes=60.0),
    seed=3,
)

_NOTHING: dict[str, Any] = dict.fromkeys(CropAugmentation.__dataclass_fields__, 0.0)
STILL = CropAugmentation(**_NOTHING | {"coarse_mm": (0.0, 0.0)})
"""Crops stay as they are."""

BONE, BREAK = 128, 255
"""Grey of a vertebra and of its fracture; all else is darker."""


def study(number: int = 0, broken: int | None = None, *, boxes: bool = True) -> StudyCrops:
    """Returns seven levels of which one (0..6) may be broken, in three slices."""
    rng = np.random.default_rng(number)
    grey = rng.integers(40, 60, (7, 12, 40, 40)).astype(np.uint8)
    marks = np.zeros((7, 12, 20, 20), np.uint8)
    for i in range(7):
        marks[i, 2:10, 5:15, 4:14] = i + 1
        grey[i, 2:10, 10:30, 8:28] = BONE
    if broken is not None:
        grey[broken, 5:8, 14:20, 20:28] = BREAK
        if boxes:
            marks[broken, 5:8, 7:10, 10:14] |= BOX_BIT
    case = Case(
        study_uid=f"1.2.{number}",
        images=Path(f"images/{number}"),
        fractured=tuple(i == broken for i in range(7)),
        boxes=(SliceBox(1, 8, 12, 16, 7),) if boxes and broken is not None else (),
    )
    affines = np.tile(np.eye(4), (7, 1, 1))
    return StudyCrops(case, grey, marks, np.full(7, 12.0), np.ones(7, bool), affines)
