"""Bone that differs from person to person as real bone does, and is not broken."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.errors import UsageError
from cspine.geometry import Grid
from cspine.phantoms import FINE, TYPICAL, WIDE, render, sample_neck
from cspine.phantoms.model.detail import KINDS, with_detail
from cspine.phantoms.model.injuries import sample_injury
from cspine.phantoms.model.lookalikes import Lookalike
from cspine.phantoms.model.neck import LABELS, Neck
from cspine.phantoms.model.variation import DetailRanges
from tests.phantoms.necks import altered, plain_neck, sites_of

EVERYTHING = DetailRanges(marrow_share=1.0, vein_share=1.0, canal_share=1.0, facet_share=1.0, ossicle_share=1.0)


def detailed(ranges: DetailRanges, seed: int = 0, neck: Neck | None = None) -> Neck:
    return with_detail(np.random.default_rng(seed), neck or plain_neck(), ranges)


def body(neck: Neck, name: str = "C5") -> Grid:
    """Returns voxels within a body."""
    return Grid.upright(neck.centres_mm[name], (10, 16, 16), (0.6, 0.6, 0.6))


def test_presets_without_detail_leave_a_neck_as_it_is() -> None:
    assert detailed(TYPICAL.detail) is plain_neck()
    assert TYPICAL.detail == WIDE.detail == DetailRanges()


def test_every_kind_of_detail_occurs_and_is_told_in_the_truth() -> None:
    found = {fact.kind for seed in range(3) for fact in detailed(EVERYTHING, seed).lookalikes}

    assert found == set(KINDS)
    assert detailed(DetailRanges(vein_share=1.0)).lookalikes[0].kind == "venous_plexus"


@pytest.mark.parametrize("level", [Level.C1, Level.C2, Level.C5])
def test_detail_changes_density_or_outline_and_breaks_nothing(level: Level) -> None:
    x, y, z = plain_neck().centres_mm[level.name]
    grid = Grid.upright((x, y + 12, z), (36, 90, 90), (1.0, 0.8, 0.8))
    before = render(plain_neck(), grid)
    for seed in range(3):
        after = render(detailed(EVERYTHING, seed), grid)

        assert np.count_nonzero(np.abs(after.volume.hu - before.volume.hu) > 60) > 100
        assert not after.fracture_mask.labels.any()
        share = np.count_nonzero(after.labels.labels == level) / np.count_nonzero(before.labels.labels == level)
        assert 0.9 < share < 1.35


def test_a_loose_piece_lies_beside_its_bone_with_a_gap() -> None:
    neck = detailed(DetailRanges(ossicle_share=1.0))
    for level in (Level.C1, Level.C4):
        (fact,) = (one for one in neck.lookalikes if one.level == level and one.kind == "loose_ossicle")
        site = neck.bone(level.name).pose.to_world(np.asarray(fact.site_mm))
        found = render(neck, Grid.upright(site, (9, 9, 9), (0.3, 0.3, 0.3)))

        assert found.volume.hu[4, 4, 4] > 200
        assert 0.6 <= fact.size_mm <= 2.0


def test_a_broken_bone_gets_no_loose_piece_and_no_hollow_in_a_joint() -> None:
    injury = sample_injury(np.random.default_rng(0), Level.C4, sites_of(Level.C4), "lamina", 0.5)
    neck = detailed(EVERYTHING, neck=altered(Level.C4, injuries=(injury,)))
    changes = [change for change in neck.bone("C4").changes if isinstance(change, Lookalike)]
    kinds = {change.facts.kind for change in changes}

    assert "loose_ossicle" not in kinds
    assert {"venous_plexus", "worn_facet"} <= kinds
    assert "Pit" not in {type(part).__name__ for one in changes for part in getattr(one.change, "changes", ())}


def test_compact_bone_and_trabeculae_are_as_thick_and_as_coarse_as_asked() -> None:
    thin, thick = (detailed(DetailRanges(cortex=(c, c))) for c in (0.5, 2.0))
    smooth, rough = (detailed(DetailRanges(roughness=(r, r))) for r in (0.5, 3.0))

    for name in ("C2", "C5", "T1"):
        assert thick.bone(name).material.cortex_mm > 2 * thin.bone(name).material.cortex_mm
    assert {bone.name for bone in thick.bones if bone.material != plain_neck().bone(bone.name).material} >= set(LABELS) - {"T3"}
    assert render(rough, body(rough)).volume.hu.std() > 1.2 * render(smooth, body(smooth)).volume.hu.std()


def test_trabeculae_are_longer_along_the_spine() -> None:
    necks = (detailed(DetailRanges(striation=(s, s), roughness=(3.0, 3.0))) for s in (1.0, 3.0))
    as_usual, longer = (render(neck, body(neck)).volume.hu for neck in necks)
    up, across = (np.abs(np.diff(longer, axis=a)).mean() / np.abs(np.diff(as_usual, axis=a)).mean() for a in (0, 2))

    assert up < 0.75
    assert across > 0.9


def test_the_atlas_is_shifted_against_the_axis_with_the_skull() -> None:
    def apart(low: float, high: float) -> np.ndarray:
        variation = replace(FINE, detail=replace(FINE.detail, atlas_mm=(low, high)))
        neck = sample_neck(np.random.default_rng(8), variation=variation)
        axis, atlas, skull = (neck.bone(name).pose for name in ("C2", "C1", "skull"))
        return np.array([axis.turn.T @ (one.centre - axis.centre) for one in (atlas, skull)])

    moved = apart(1.5, 1.5) - apart(0.0, 0.0)

    np.testing.assert_allclose(moved, [[1.5, 1.5, 0.0]] * 2, atol=1e-6)


def test_fine_necks_differ_from_one_another_and_have_all_levels() -> None:
    necks = [sample_neck(np.random.default_rng(seed), variation=FINE) for seed in range(4)]

    assert len({neck.bone("C4").material.grain_mm for neck in necks}) == 4
    assert np.ptp([neck.joint_mm for neck in necks]) > 0.3
    kinds = {fact.kind for neck in necks for fact in neck.lookalikes}
    assert len(kinds & set(KINDS)) >= 4
    assert all(neck.bone(level.name) for neck in necks for level in CERVICAL)


def test_wrong_ranges_are_refused() -> None:
    with pytest.raises(UsageError, match="`vein_share` must be a share between 0 and 1"):
        DetailRanges(vein_share=1.2)


def test_compact_bone_is_denser_here_and_thinner_there() -> None:
    """Otherwise much bone has the highest density of all, which reading takes for values that were cut off."""

    def spread(ranges: DetailRanges) -> float:
        changed = detailed(ranges).bone("C5")
        solid = replace(changed, material=replace(changed.material, cortex_mm=50.0), changes=())
        hu = render(replace(plain_neck(), bones=(solid,)), body(plain_neck())).volume.hu
        return float(np.std(hu[hu > 900]) / solid.material.cortex_hu)

    fine = DetailRanges(cortex_roughness=0.06)

    assert spread(DetailRanges()) < 0.005
    assert 0.03 < spread(fine) < 0.1
    skull = detailed(fine).bone("skull").material
    assert skull.cortex_roughness_hu == pytest.approx(0.06 * skull.cortex_hu)
