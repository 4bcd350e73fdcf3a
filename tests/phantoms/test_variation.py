import json
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, OTHER_BONE, Level
from cspine.errors import UsageError
from cspine.geometry import Grid
from cspine.phantoms import FINE, HELD_OUT, PRESETS, TYPICAL, WIDE, Spread, Variation, render, sample_neck
from cspine.phantoms.ct.scanner import sample_scanner, varied_scanner
from cspine.phantoms.dataset.layout import Shares, Size, sample_layout, varied_layout
from cspine.phantoms.dataset.subjects import sample_subject
from cspine.phantoms.dataset.truth import StudyTruth, truth_text
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.degeneration import sample_wear
from cspine.phantoms.model.injuries import find_sites
from cspine.phantoms.model.scan_mask import MASKED_HU, ScanMask
from cspine.phantoms.model.variation import DegenerationRanges, JunctionRanges, ProportionRanges, SurroundingShares, ViewShares
from tests.phantoms.necks import with_others, with_proportions


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_all_levels_once_and_in_order(preset: str) -> None:
    for seed in (3, 5):
        neck = replace(sample_neck(np.random.default_rng(seed), variation=PRESETS[preset]), mask=None)
        labels = render(neck, neck.scan_grid((2.0, 1.6, 1.6), 150 * neck.scale, 30 * neck.scale, 30 * neck.scale)).labels.labels
        heights = [np.nonzero(labels == level)[0].mean() for level in CERVICAL]
        counts = [np.count_nonzero(labels == level) * 2 * 1.6 * 1.6 / neck.scale**3 for level in CERVICAL]

        assert all(upper > lower for upper, lower in pairwise(heights))
        assert 3000 < min(counts) < max(counts) < 40000


def test_presets_are_what_their_names_say() -> None:
    assert Variation() == TYPICAL
    assert list(PRESETS) == ["typical", "wide", "fine", "held_out"]
    for axis in (
        "pedicle_mm",
        "facet_deg",
        "lamina_height",
        "lamina_slope_deg",
        "spinous_length",
        "spinous_height",
        "spinous_slope_deg",
    ):
        for preset in (WIDE, FINE):
            (low, high), (first, last) = getattr(preset.proportions, axis), getattr(HELD_OUT.proportions, axis)
            assert last < low or first > high, axis
    for preset in (WIDE, FINE):
        assert preset.proportions.arch_width == (1.0, 1.0)
        assert preset.proportions.arch_tilt_deg == (0.0, 0.0)


def test_a_variation_of_posture_alone_takes_nothing_from_other_chances() -> None:
    usual = sample_neck(np.random.default_rng(4))
    again = sample_neck(np.random.default_rng(4), variation=Variation(spread=Spread()))

    assert usual.centres_mm == again.centres_mm
    assert again.scale == 1.0


def test_a_smaller_neck_is_the_same_picture_smaller() -> None:
    whole, half = with_proportions(), with_proportions(size=0.5)
    grid = Grid.upright(whole.centres_mm["C4"], (20, 40, 40), (1.0, 1.0, 1.0))
    affine = grid.affine.copy()
    affine[:3] *= 0.5

    np.testing.assert_array_equal(render(half, Grid(grid.shape, affine)).labels.labels, render(whole, grid).labels.labels)


def test_the_head_of_a_child_is_large_for_its_neck() -> None:
    child = with_others(proportions=ProportionRanges(size=(0.5, 0.5), head_exponent=(0.4, 0.4)))

    assert child.bone("skull").pose.size[0] / with_proportions().bone("skull").pose.size[0] == pytest.approx(0.5**-0.4)


def test_a_settled_skull_with_a_clivus_comes_near_to_the_dens() -> None:
    def gap(junction: JunctionRanges) -> float:
        neck = with_others(junction=junction)
        dens, skull = (neck.bone(name) for name in ("C2", "skull"))
        top = find_sites(Level.C2, shipped_anatomies()[0].vertebrae[Level.C2]).dens_tip
        world = dens.pose.to_world(top + np.array([0.0, 0.0, 8.0]))
        return float(skull.distance((skull.pose.own_matrix @ (world - skull.pose.centre)).astype(np.float32)[:, None])[0])

    far = gap(JunctionRanges(clivus_share=1.0, basion_mm=(24.0, 24.0), opisthion_mm=(18.0, 18.0)))
    near = gap(JunctionRanges(clivus_share=1.0, basion_mm=(14.0, 14.0), opisthion_mm=(18.0, 18.0)))

    assert near < far - 3
    assert gap(JunctionRanges(settling_mm=(4.0, 4.0))) < gap(JunctionRanges(settling_mm=(1e-3, 1e-3)))


def test_worn_necks_have_more_fusions_and_sclerosis_makes_bodies_dense() -> None:
    often, never = DegenerationRanges(fused_share=0.5), DegenerationRanges(fused_share=0.0)
    dense = with_others(degeneration=DegenerationRanges(sclerosis_share=1.0, sclerosis_gain=(0.6, 0.6)))
    grid = Grid.upright(dense.centres_mm["C5"], (6, 6, 6), (1.0, 1.0, 1.0))

    assert np.mean([len(sample_wear(np.random.default_rng(seed), often).fused) for seed in range(40)]) > 1.5
    assert not any(sample_wear(np.random.default_rng(seed), never).fused for seed in range(40))
    assert render(dense, grid).volume.hu.mean() > render(with_proportions(), grid).volume.hu.mean() + 150


def test_arms_and_hands_are_soft_tissue_around_other_bone_and_never_a_vertebra() -> None:
    neck = with_others(surroundings=SurroundingShares(arms_up=1.0, hands=1.0))
    x, y, z = neck.centres_mm["C3"]
    grid = Grid.upright((x, y, z), (30, 100, 130), (8.0, 4.0, 4.0))
    with_arms, without = render(neck, grid), render(with_proportions(), grid)
    labels, before = with_arms.labels.labels, without.labels.labels

    assert sorted({limb.kind for limb in neck.limbs}) == ["arm", "hand"]
    assert np.count_nonzero(labels == OTHER_BONE) > np.count_nonzero(before == OTHER_BONE) + 50
    assert all(np.count_nonzero((labels == level) & (before != level)) == 0 for level in CERVICAL)
    assert np.count_nonzero((with_arms.volume.hu > 20) & (without.volume.hu < -900)) > 1000


@pytest.mark.parametrize("kind", ["headrest", "mask_frame", "external_tubes"])
def test_rests_masks_and_tubes_lie_beside_the_body_only(kind: str) -> None:
    neck = with_others(surroundings=SurroundingShares(**{kind: 1.0}))
    x, y, z = neck.centres_mm["C3"]
    grid = Grid.upright((x, y - 10, z + 20), (40, 110, 110), (5.0, 3.0, 3.0))
    after, before = render(neck, grid), render(with_proportions(), grid)
    changed = np.abs(after.volume.hu - before.volume.hu) > 5

    assert np.count_nonzero(changed) > 100
    assert before.volume.hu[changed].max() < -300
    np.testing.assert_array_equal(after.labels.labels, before.labels.labels)


def test_beyond_a_mask_all_is_minus_1024_and_has_no_label_but_the_tube_around_the_cord_stays() -> None:
    whole = with_proportions()
    z = {name: place[2] for name, place in whole.centres_mm.items()}
    mask = ScanMask(skin_mm=0.0, top_mm=z["C1"], bottom_mm=z["C6"], side_mm=80.0, front=(60.0, 0.2), gap_mm=(z["C5"], z["C5"] + 4))
    neck = replace(whole, mask=mask)
    grid = whole.scan_grid((2.0, 2.0, 2.0), 240.0, 40.0, 30.0)
    cut, full = render(neck, grid), render(whole, grid)
    gone = cut.volume.hu == MASKED_HU
    heights = grid.world(np.argwhere(gone))[:, 2]

    assert gone.mean() > 0.5
    assert not cut.labels.labels[gone].any()
    np.testing.assert_array_equal(cut.volume.hu[~gone], full.volume.hu[~gone])
    below = int(np.argmin(np.abs(grid.world(np.argwhere(np.ones((grid.shape[0], 1, 1))))[:, 2] - (z["C6"] - 10))))
    assert 20 < np.count_nonzero(~gone[below]) < 80
    assert heights.max() > z["C1"]


def test_masks_of_the_wide_preset_leave_most_of_c3_to_c5() -> None:
    for seed in range(6):
        neck = sample_neck(np.random.default_rng(seed), variation=replace(WIDE, view=ViewShares(masked=1.0)))
        assert neck.mask is not None
        heights = {name: place[2] / neck.scale for name, place in neck.centres_mm.items()}

        assert neck.mask.top_mm > heights["C2"] - 5
        assert neck.mask.bottom_mm <= heights["C6"]


def test_the_truth_of_a_masked_neck_is_plain_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "wide", replace(WIDE, view=ViewShares(masked=1.0)))

    def no_number(name: str) -> float:
        raise ValueError(name)

    masks = []
    for seed in range(4):
        subject = sample_subject(np.random.default_rng(seed), (False,) * 7, variation="wide")
        text = truth_text(StudyTruth("1.2", subject.fractured, ()), subject.facts(np.zeros(3)))
        masks.append(json.loads(text, parse_constant=no_number)["variation"]["mask"])

    assert None in {mask["side_mm"] for mask in masks}  # not every mask cuts the sides
    assert all(mask["tube_mm"] > 0 for mask in masks)


@pytest.mark.parametrize(
    ("view", "shown"),
    [(ViewShares(begins_below_c2=1.0), range(3, 8)), (ViewShares(ends_at_c4=1.0), range(1, 5)), (ViewShares(), range(1, 8))],
)
def test_pictures_begin_below_c2_or_end_at_c4_and_what_is_not_seen_is_not_fractured(
    monkeypatch: pytest.MonkeyPatch, view: ViewShares, shown: range
) -> None:
    monkeypatch.setitem(PRESETS, "wide", replace(WIDE, view=view))
    subject = sample_subject(np.random.default_rng(2), (True,) * 7, variation="wide")
    layout = sample_layout(np.random.default_rng(3), Size.SMALL, Shares())
    grid = replace(layout, turn_deg=(0.0, 0.0, 0.0)).grid(subject.centre_mm, subject.top_mm, subject.bottom_mm, subject.limits_mm)
    ends = grid.corners_mm()[:, 2]
    coarse = Grid.upright(grid.centre_mm, (max(2, grid.shape[0] // 2), 60, 60), (2 * grid.spacing_mm[0], 2.5, 2.5))
    found = subject.scene(coarse).labels.labels
    counts = {n: int(np.count_nonzero(found == n)) for n in range(1, 8)}
    unseen = [counts[n] for n in range(1, 8) if n not in shown]

    assert [n + 1 for n, broken in enumerate(subject.fractured) if broken] == list(shown)
    assert ends.max() <= subject.limits_mm[1] + layout.spacing_mm
    assert min(counts[n] for n in shown) > 2 * np.mean(unseen or [0])


def test_wide_scans_have_large_voxels_soft_and_sharp_kernels_and_other_noise() -> None:
    made = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        layout = varied_layout(rng, sample_layout(rng, Size.SMALL, Shares()), WIDE.scan)
        made.append((layout, varied_scanner(rng, sample_scanner(rng, layout.thickness_mm), WIDE.scan)))
    coarse = [layout for layout, _ in made if layout.size != 288]
    cutoffs = [scanner.cutoff_per_mm for _, scanner in made]

    assert 0.35 < len(coarse) / len(made) < 0.65
    assert 4 < max(layout.pixel_mm for layout in coarse) <= 5
    assert 4 < max(layout.spacing_mm for layout in coarse) <= 5
    assert min(cutoffs) < 0.4
    assert max(cutoffs) > 1.0
    assert np.ptp(np.log([scanner.noise_hu for _, scanner in made])) > np.log(10)


def test_the_typical_scanner_and_layout_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    layout = sample_layout(rng, Size.FULL, Shares())
    scanner = sample_scanner(rng, layout.thickness_mm)

    assert varied_layout(rng, layout, TYPICAL.scan) is layout
    assert varied_scanner(rng, scanner, TYPICAL.scan) is scanner


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (partial(ProportionRanges, size=(1.2, 0.5)), "`size` must be two numbers, the least first"),
        (partial(ProportionRanges, pedicle_mm=(0.0, float("nan"))), "`pedicle_mm` must be two numbers"),
        (partial(SurroundingShares, arms_up=1.5), "`arms_up` must be a share between 0 and 1"),
        (partial(ViewShares, masked=-0.1), "`masked` must be a share between 0 and 1"),
    ],
)
def test_wrong_ranges_are_refused(wrong: partial[object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wrong()
