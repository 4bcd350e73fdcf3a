import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.phantoms import render
from cspine.phantoms.model.injuries.sites import Sites
from cspine.phantoms.model.lookalikes import SHARES, Lookalike, sample_lookalike, sample_lookalikes
from tests.phantoms.necks import altered, around, plain_neck, sites_of

EVERY = [(level, kind) for level in (Level.C1, Level.C2, Level.C6) for kind in SHARES[level]]
CORTICATED = ("posterior_arch_cleft", "anterior_arch_cleft", "os_odontoideum", "dens_tip_ossicle", "limbus")


def sampled(level: Level, kind: str, seed: int = 4) -> Lookalike:
    return sample_lookalike(np.random.default_rng(seed), level, sites_of(level), kind)


@pytest.mark.parametrize(("level", "kind"), EVERY)
def test_a_lookalike_shows_and_is_no_fracture(level: Level, kind: str) -> None:
    found = sampled(level, kind)
    neck = altered(level, (found,))
    grid = around(level, found.facts.site_mm)
    before, after = render(plain_neck(), grid), render(neck, grid)

    assert np.count_nonzero(np.abs(before.volume.hu - after.volume.hu) > 60) > 8
    assert not after.fracture_mask.labels.any()
    assert neck.injuries == ()
    assert neck.lookalikes == (found.facts,)


@pytest.mark.parametrize(("level", "kind"), [(level, kind) for level, kind in EVERY if kind in CORTICATED])
def test_old_gaps_have_dense_borders_where_bone_was_spongy(level: Level, kind: str) -> None:
    found = sampled(level, kind)
    grid = around(level, found.facts.site_mm)
    before, after = render(plain_neck(), grid), render(altered(level, (found,)), grid)
    spongy = (before.labels.labels == level) & (before.volume.hu < 550)
    rise = (after.volume.hu - before.volume.hu)[spongy]

    assert np.count_nonzero(rise > 200) > 10
    assert np.count_nonzero(rise < -150) > 10


def test_a_basivertebral_vein_opens_to_the_canal() -> None:
    found = sampled(Level.C6, "basivertebral_vein")
    sites = sites_of(Level.C6)
    behind = np.linspace(0.3, 0.9, 30) * sites.half_mm[1]
    trunk = np.stack([np.full(30, found.facts.site_mm[0]), behind, np.full(30, found.facts.site_mm[2])]).astype(np.float32)
    hu = found.recolour(trunk, np.full(30, -3, np.float32), np.full(30, 400, np.float32))

    assert np.median(hu) < 250


def test_broken_bones_have_vessels_only() -> None:
    sites = sites_of(Level.C5)
    kinds = {
        one.facts.kind
        for seed in range(150)
        for one in sample_lookalikes(np.random.default_rng(seed), Level.C5, sites, broken=True)
    }

    assert kinds == {"basivertebral_vein", "nutrient_canal"}


def test_lookalikes_are_as_frequent_as_stated_and_never_meet() -> None:
    sites = sites_of(Level.C6)
    all_of = [sample_lookalikes(np.random.default_rng(seed), Level.C6, sites, broken=False) for seed in range(600)]
    veins = np.mean([any(one.facts.kind == "basivertebral_vein" for one in found) for found in all_of])
    shaped = [sum(one.facts.kind not in ("basivertebral_vein", "nutrient_canal") for one in found) for found in all_of]

    assert veins == pytest.approx(SHARES[Level.C6]["basivertebral_vein"], abs=0.06)
    assert max(shaped) == 1
    assert np.mean(shaped) == pytest.approx(0.21, abs=0.06)


def test_every_level_may_have_lookalikes() -> None:
    for level in CERVICAL:
        found = [sample_lookalikes(np.random.default_rng(seed), level, _sites(level), broken=False) for seed in range(20)]
        assert any(found)


def _sites(level: Level) -> Sites:
    return sites_of(level)
