from dataclasses import replace
from pathlib import Path

import numpy as np

from cspine.locating.region_proposal import REGION_VOXEL
from cspine.specs import OTHER_VERTEBRA_CLASS, VolumeSpec
from cspine.training.core.marks import LabelledImage
from cspine.training.localiser.batches import Sources, sample_window
from tests.training.localiser.small import RECIPE
from tests.training.localiser.test_augmentation import CALM

_SIDE = 24
_STILL = replace(RECIPE, input=VolumeSpec((2.5, 2.5, 2.5), (_SIDE, _SIDE, _SIDE), (-300.0, 1300.0)), augmentation=CALM)


def _voxels(label: int, region_share: float) -> int:
    """Returns how many voxels of a window a cube of 12 voxels takes."""
    classes = np.zeros((_SIDE, _SIDE, _SIDE), np.uint8)
    classes[6:18, 6:18, 6:18] = label
    image = LabelledImage(np.where(classes > 0, 500, 0).astype(np.int16), classes)
    recipe = replace(_STILL, region_share=region_share)
    _, seen = sample_window(np.random.default_rng(0), Sources([Path("none")], [image], 1.0), recipe)
    return int(np.count_nonzero(seen == label))


def test_a_neck_may_be_seen_on_the_voxels_of_the_pass_that_proposes_regions() -> None:
    assert _voxels(3, 0.0) == 12**3
    assert _voxels(3, 1.0) == round(12 / REGION_VOXEL) ** 3


def test_a_chest_keeps_its_size_or_it_would_look_like_a_neck() -> None:
    assert _voxels(OTHER_VERTEBRA_CLASS, 1.0) == 12**3
