from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import Level
from cspine.phantoms import render, sample_neck
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.degeneration import JOINTS, Wear, sample_degeneration, sample_wear
from tests.phantoms.necks import altered, around, plain_neck, sites_of

WORN = Wear(1.0, dict.fromkeys(JOINTS, 1.0), dict.fromkeys(JOINTS, 1.0))
NEW = Wear(0.0, dict.fromkeys(JOINTS, 0.0), dict.fromkeys(JOINTS, 0.0))


@pytest.mark.parametrize("level", [Level.C3, Level.C5, Level.C7])
def test_worn_bones_are_larger_and_heavier_and_whole(level: Level) -> None:
    changes = sample_degeneration(np.random.default_rng(2), WORN, level, sites_of(level))
    grid = around(level, (0.0, 5.0, 0.0), 0.7, 72)
    before, after = render(plain_neck(), grid), render(altered(level, changes), grid)
    was, is_now = before.labels.labels == level, after.labels.labels == level

    assert np.count_nonzero(is_now) > 1.01 * np.count_nonzero(was)
    assert after.volume.hu[is_now].sum() > 1.02 * before.volume.hu[was].sum()
    assert not after.fracture_mask.labels.any()


def test_new_necks_have_no_spurs() -> None:
    for level in (Level.C1, Level.C4):
        assert sample_degeneration(np.random.default_rng(2), NEW, level, sites_of(level)) == ()


def test_spurs_stay_attached_to_their_bone() -> None:
    from scipy import ndimage

    changes = sample_degeneration(np.random.default_rng(5), WORN, Level.C5, sites_of(Level.C5))
    grid = around(Level.C5, (0.0, 8.0, 0.0), 0.6, 96)
    labels = render(altered(Level.C5, changes), grid).labels.labels == Level.C5
    parts, count = ndimage.label(labels)
    sizes = ndimage.sum_labels(labels, parts, range(1, count + 1))

    assert np.max(sizes) / np.sum(sizes) > 0.995


def test_worn_discs_are_narrow_and_lower_ones_wear_more() -> None:
    wear = [sample_wear(np.random.default_rng(seed)) for seed in range(300)]

    assert WORN.stretch("C5") < 0.9 < NEW.stretch("C5") == 1.0
    assert np.mean([one.discs["C5"] for one in wear]) > np.mean([one.discs["C2"] for one in wear]) + 0.15
    assert 0.25 < np.mean([one.share for one in wear]) < 0.5
    assert 0 < np.mean([bool(one.fused) for one in wear]) < 0.05


def test_levels_that_grew_together_leave_no_space() -> None:
    fused = replace(WORN, fused=("C4",))
    neck = plain_neck()
    for level in (Level.C4, Level.C5):
        changes = sample_degeneration(np.random.default_rng(1), fused, level, sites_of(level))
        neck = neck.with_bone(replace(neck.bone(level.name), changes=changes))
    neck = replace(neck, fused=(frozenset(("C4", "C5")),))
    ends = np.array([neck.centres_mm["C4"], neck.centres_mm["C5"]])
    grid = around(Level.C5, (0.0, 0.0, 8.0), 0.5, 48)
    line = np.round(grid.index(ends[0] + np.linspace(0.3, 0.7, 40)[:, None] * (ends[1] - ends[0]))).astype(int)

    assert np.mean(render(neck, grid).labels.labels[tuple(line.T)] > 0) > 0.9
    assert np.mean(render(plain_neck(), grid).labels.labels[tuple(line.T)] > 0) < 0.9


def test_a_drawn_neck_tells_its_wear() -> None:
    neck = sample_neck(np.random.default_rng(3), shipped_anatomies()[0])

    assert neck.wear == sample_neck(np.random.default_rng(3), shipped_anatomies()[0]).wear
    assert isinstance(neck.wear, Wear)
