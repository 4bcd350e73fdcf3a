from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid
from cspine.phantoms import render
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.injuries import FREQUENCIES, KINDS, Fracture, Injury, find_sites, sample_injuries, sample_injury
from cspine.phantoms.model.injuries.severity import FARTHEST_MM, HAIRLINE_MM, WIDEST_MM, sample_severity
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT
from cspine.phantoms.model.neck import Neck
from tests.phantoms.necks import altered, around, plain_neck, sites_of

EVERY = [(level, kind) for level in (Level.C1, Level.C2, Level.C5, Level.C7) for kind in KINDS[level]]
FINE = np.eye(3, dtype=np.float32) * 0.35


def sampled(level: Level, kind: str, severity: float, seed: int = 3) -> Injury:
    return sample_injury(np.random.default_rng(seed), level, sites_of(level), kind, severity)


def inside(level: Level) -> NDArray[np.float32]:
    shape = shipped_anatomies()[0].vertebrae[level]
    voxels = np.argwhere(shape.steps < 0)[:, ::-1]
    return np.asarray((np.asarray(shape.first_mm) + voxels * shape.spacing_mm).T, dtype=np.float32)


def broken(injury: Injury) -> Neck:
    return altered(injury.facts.level, injuries=(injury,))


def near(injury: Injury, spacing_mm: float = 0.5) -> Grid:
    return around(injury.facts.level, injury.facts.site_mm, spacing_mm)


@pytest.mark.parametrize(("level", "kind"), EVERY)
def test_every_kind_opens_a_crack_through_its_bone(level: Level, kind: str) -> None:
    injury = sampled(level, kind, 0.6)
    points = inside(level)
    line = injury.fracture_line(points, FINE)

    assert injury.facts.level is level
    assert injury.facts.kind == kind
    assert np.count_nonzero(line.share > 0.8) > 30
    assert np.mean(line.share > 0) < 0.2
    assert np.all(line.away_mm[line.share > 0.999] == 0)


@pytest.mark.parametrize(("level", "kind"), EVERY)
def test_pieces_of_a_fracture_are_what_its_line_leaves_however_blurred(level: Level, kind: str) -> None:
    injury = sampled(level, kind, 0.6)
    assert isinstance(injury, Fracture)
    points = inside(level)
    line = injury.fracture_line(points, FINE)
    sharp, soft = (injury.pieces(points, np.eye(3, dtype=np.float32) * sigma) for sigma in (0.1, 0.8))
    left, blurred = (np.sum([piece.share for piece in pieces], axis=0) for pieces in (sharp, soft))

    assert left.max() <= 1 + 1e-5
    assert blurred.max() <= 1 + 1e-5
    assert np.mean(left[line.share > 0.95]) < 0.15
    assert np.mean(left[line.away_mm > 1.0]) > 0.98
    assert (1 - blurred).sum() == pytest.approx((1 - left).sum(), rel=0.35)
    assert (1 - blurred).max() < (1 - left).max()
    whole = np.argmax([piece.share for piece in sharp], axis=0)
    back = np.select([whole == n for n in range(len(sharp))], [piece.back for piece in sharp])
    clear = (left > 0.98) & (line.away_mm > 1.0)
    assert np.mean(np.linalg.norm(back - injury.undo(points), axis=0)[clear] < 0.05) > 0.98


@pytest.mark.parametrize(("level", "kind"), EVERY)
def test_fragments_move_without_bone_appearing_or_vanishing(level: Level, kind: str) -> None:
    injury = sampled(level, kind, 0.8)
    bone = plain_neck().bone(level.name)
    low, high = bone.shape.box_mm()
    axes = [np.arange(a - 5, b + 5, 1.0) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    intact = bone.distance(points) < 0
    now = replace(bone, injuries=(injury,)).distance(points) < 0
    solid = now[now] & (injury.fracture_line(points[:, now], FINE).share < 0.5)

    gone = 0.18 if kind in ("compression", "burst") else 0.08
    assert 1 - gone < np.count_nonzero(solid) / np.count_nonzero(intact) < 1.03
    assert np.any(intact != now)


def test_severity_orders_gap_and_displacement() -> None:
    all_of = [sample_severity(np.random.default_rng(1), share) for share in np.linspace(0, 1, 9)]

    assert np.all(np.diff([one.gap_mm for one in all_of]) > 0)
    assert np.all(np.diff([one.displacement_mm for one in all_of]) >= 0)
    assert all_of[0].gap_mm == HAIRLINE_MM
    assert all_of[0].displacement_mm == all_of[2].displacement_mm == 0


def test_severities_are_spread_from_hairlines_to_gross_fractures() -> None:
    rng = np.random.default_rng(0)
    all_of = [sample_severity(rng) for _ in range(4000)]
    shares = np.array([one.share for one in all_of])

    assert np.mean(shares) == pytest.approx(1.3 / 3.1, abs=0.02)
    assert np.mean(shares < 0.1) > 0.05
    assert np.mean(shares > 0.9) > 0.01
    assert all(HAIRLINE_MM <= one.gap_mm <= WIDEST_MM and 0 <= one.displacement_mm <= FARTHEST_MM for one in all_of)


@pytest.mark.parametrize(("level", "kind"), [(level, kind) for level, kind in EVERY if kind not in ("compression", "burst")])
def test_what_did_not_move_stays_where_it_was(level: Level, kind: str) -> None:
    points = inside(level)

    assert np.array_equal(sampled(level, kind, 0.2).undo(points), points)


def test_a_hairline_is_a_faint_dip_at_half_a_millimetre() -> None:
    injury = sampled(Level.C2, "odontoid_type_2", 0.0)
    grid = near(injury)
    before, after = render(plain_neck(), grid).volume.hu, render(broken(injury), grid).volume.hu
    dip = before - after
    spongy = (before > 200) & (before < 500) & (dip > 20)

    assert np.count_nonzero(spongy) > 100
    assert 0.15 < np.median(dip[spongy] / before[spongy]) < 0.5
    assert after[spongy].min() > 60


def test_the_mask_covers_the_crack_and_little_else() -> None:
    injury = sampled(Level.C5, "lateral_mass", 0.25)
    grid = near(injury)
    before, after = render(plain_neck(), grid), render(broken(injury), grid)
    line = before.volume.hu - after.volume.hu > 60
    mask = after.fracture_mask.labels

    assert line.any()
    assert np.all(mask[line] == Level.C5)
    assert set(np.unique(mask)) == {0, int(Level.C5)}
    assert np.count_nonzero(mask) < 12 * np.count_nonzero(line)
    assert np.array_equal(before.labels.labels, after.labels.labels)
    assert not before.fracture_mask.labels.any()


def test_a_broken_neck_looks_the_same_in_parts() -> None:
    injury = sampled(Level.C6, "burst", 0.9)
    grid = near(injury, 0.7)
    part = grid.part((20, 10, 5), (30, 40, 41))
    whole_picture, piece = render(broken(injury), grid), render(broken(injury), part)
    cut = np.s_[20:50, 10:50, 5:46]

    np.testing.assert_allclose(whole_picture.volume.hu[cut], piece.volume.hu, atol=0.5)
    assert np.mean(whole_picture.fracture_mask.labels[cut] != piece.fracture_mask.labels) < 1e-4


def test_a_compressed_body_is_lower_in_front_and_denser() -> None:
    injury = sampled(Level.C5, "compression", 1.0)
    bone = plain_neck().bone("C5")
    half = sites_of(Level.C5).half_mm
    column = np.stack([np.zeros(120), np.full(120, -0.5 * half[1]), np.linspace(-12, 12, 120)]).astype(np.float32)
    crushed = replace(bone, injuries=(injury,))

    assert np.count_nonzero(crushed.distance(column) < 0) < 0.92 * np.count_nonzero(bone.distance(column) < 0)
    assert injury.density(column, np.full(120, 300, np.float32)).max() > 400


def test_the_tip_of_a_spinous_process_sinks() -> None:
    injury = sampled(Level.C7, "spinous_process", 1.0)
    sites = sites_of(Level.C7)
    tip = np.array([0.0, sites.spinous[1], sites.spinous[2]], np.float32)[:, None]
    body = np.zeros((3, 1), np.float32)

    assert injury.undo(tip)[2] > tip[2]
    assert np.array_equal(injury.undo(body), body)


def test_kinds_fit_their_level() -> None:
    for level in CERVICAL:
        assert set(FREQUENCIES[level]) == set(KINDS[level])
        assert sum(FREQUENCIES[level].values()) == pytest.approx(1)
    assert max(CERVICAL, key=lambda level: FREQUENCIES[level].get("spinous_process", 0)) is Level.C7
    assert "odontoid_type_2" not in KINDS[Level.C3]
    assert "jefferson" in KINDS[Level.C1]


def test_drawn_injuries_lie_apart_and_repeat() -> None:
    counts = []
    for seed in range(60):
        injuries = sample_injuries(np.random.default_rng(seed), Level.C4, sites_of(Level.C4))
        again = sample_injuries(np.random.default_rng(seed), Level.C4, sites_of(Level.C4))
        sites = np.array([injury.facts.site_mm for injury in injuries])
        counts.append(len(injuries))
        assert [injury.facts for injury in injuries] == [injury.facts for injury in again]
        gaps = np.linalg.norm(sites[:, None] - sites[None], axis=2)[np.triu_indices(len(sites), 1)]
        assert np.all(gaps > 9)
    assert min(counts) == 1
    assert max(counts) >= 2


@pytest.mark.parametrize("anatomy", range(len(shipped_anatomies())))
def test_sites_lie_where_their_names_say(anatomy: int) -> None:
    for level, bone in shipped_anatomies()[anatomy].vertebrae.items():
        sites = find_sites(level, bone)
        assert sites.pillar[LEFT][0] > 8
        assert sites.pillar[RIGHT][0] < -8
        assert sites.facet_up[LEFT][2] > sites.facet_down[LEFT][2]
        assert sites.transverse[LEFT][0] > sites.pillar[LEFT][0]
        assert sites.spinous[1] > sites.arch[1] > bone.body.canal_mm
        for side in (LEFT, RIGHT):
            for place in (sites.pillar[side], sites.pedicle[side], sites.lamina[side]):
                assert bone.distance(place.astype(np.float32)[:, None])[0] < 0


BEHIND = [(level, kind) for level in (Level.C3, Level.C5, Level.C7) for kind in ("lamina", "spinous_process", "transverse_process")]


@pytest.mark.parametrize(("level", "kind"), BEHIND)
def test_what_breaks_behind_the_canal_spares_the_body(level: Level, kind: str) -> None:
    points, (wide, deep, tall) = inside(level), sites_of(level).half_mm
    body = points[:, (np.abs(points[0]) < 0.6 * wide) & (np.abs(points[1]) < 0.9 * deep) & (np.abs(points[2]) < 0.8 * tall)]

    for seed in range(8):
        injury = sampled(level, kind, 1.0, seed)
        assert not np.any(injury.fracture_line(body, FINE).share > 0.5)
        assert np.array_equal(injury.undo(body), body)


@pytest.mark.parametrize("kind", ["compression", "burst", "teardrop"])
def test_what_breaks_in_the_body_spares_the_arch(kind: str) -> None:
    points, sites = inside(Level.C5), sites_of(Level.C5)
    arch = points[:, points[1] > sites.pillar[LEFT][1]]

    for seed in range(8):
        assert not np.any(sampled(Level.C5, kind, 1.0, seed).fracture_line(arch, FINE).share > 0.5)
