"""Crops of a scan have the appearance that a network was trained on."""

import numpy as np
import pytest

from cspine.imaging.appearance import appearance_of
from cspine.specs import VertebraSpec

SPEC = VertebraSpec(spacing_mm=(2.0, 1.0, 1.0), depth=12, size=(64, 64), slices=4, neighbours=1, window_hu=(-200.0, 1800.0))


def crops(noise_hu: float = 0.0, levels: int = 3) -> np.ndarray:
    """Returns bone of 600 HU in tissue of 50 HU."""
    mask = np.zeros(SPEC.shape[1:4], np.float32)
    mask[:, 16:40, 20:44] = 1
    hu = np.where(mask > 0, 600.0, 50.0) + np.random.default_rng(0).normal(0, noise_hu, mask.shape)
    fed = np.zeros(SPEC.shape, np.float32)
    fed[:levels, ..., :3] = np.clip((hu + 200) / 2000, 0, 1)[None, ..., None]
    fed[:levels, ..., 3] = mask
    return fed


@pytest.mark.parametrize("noise_hu", [0.0, 10.0, 40.0, 120.0])
def test_bone_tissue_and_noise_are_measured(noise_hu: float) -> None:
    seen = appearance_of(crops(noise_hu), SPEC)

    assert seen is not None
    assert seen.bone_hu == pytest.approx(600, abs=5)
    assert seen.soft_hu == pytest.approx(50, abs=5)
    assert seen.noise_hu == pytest.approx(noise_hu, rel=0.1, abs=0.5)
    assert seen.metal_ml == 0


def test_metal_is_told_in_millilitres() -> None:
    fed = crops(levels=1)
    fed[0, :, 50:60, 50:60, 1] = 1.0

    seen = appearance_of(fed, SPEC)

    assert seen is not None
    assert seen.metal_ml == pytest.approx(4 * 100 * 2 * SPEC.spacing_mm[0] / 1000)
    assert set(seen.values()) == {"bone_hu", "soft_hu", "noise_hu", "metal_ml"}


def test_where_nothing_is_to_be_seen_nothing_is_said() -> None:
    boneless, bare = crops(), crops()
    boneless[..., 3] = np.minimum(boneless[..., 3], 0.5)
    bare[..., :3] = np.where(bare[..., 3:] > 0, bare[..., :3], 0)

    assert appearance_of(crops(levels=0), SPEC) is None
    assert appearance_of(boneless, SPEC) is None
    assert appearance_of(bare, SPEC) is None
