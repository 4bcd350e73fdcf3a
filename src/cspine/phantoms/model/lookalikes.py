"""Samples what looks like a fracture and is not: vessels, bones that never fused, scars of old age and old injuries.

Shares are our choice, about twice those of life where those are known (clefts of the posterior arch of C1: 4 %, Currarino et al.
1994), since these are what must not be called a fracture. A fractured bone gets vessels only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cspine.anatomy import Level
from cspine.geometry import Vector
from cspine.phantoms.model.alterations import Canal, Cloud, Growth, Pit, Several, Shaved, Slit
from cspine.phantoms.model.changes import BoneChange
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Site, Sites, beside
from cspine.phantoms.model.shapes import Ellipsoid, Field, Points

_VESSELS = ("basivertebral_vein", "nutrient_canal")


@dataclass(frozen=True, slots=True)
class LookalikeFacts:
    """Holds what a truth table says about a look-alike.

    Attributes:
        level: The vertebra.
        kind: For instance ``os_odontoideum``; see :data:`SHARES`.
        site_mm: Its middle in the bone's own frame, ``(x, y, z)``.
        size_mm: Its width: of the gap, of the canal, of the pit.
    """

    level: Level
    kind: str
    site_mm: Vector
    size_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Lookalike:
    """A change that may be taken for a fracture.

    Attributes:
        facts: What it is.
        change: How it alters the bone.
    """

    facts: LookalikeFacts
    change: BoneChange = field(repr=False)

    @property
    def spare_mm(self) -> float:
        """Returns how far it sticks out."""
        return self.change.spare_mm

    def reshape(self, points: Points, distance: Field) -> Field:
        """Returns the altered surface."""
        return self.change.reshape(points, distance)

    def recolour(self, points: Points, distance: Field, hu: Field) -> Field:
        """Returns the altered density."""
        return self.change.recolour(points, distance, hu)


@dataclass(frozen=True, slots=True, eq=False)
class _Trait:
    """Holds what a kind is made of."""

    site: Site
    size_mm: float
    changes: tuple[BoneChange, ...]


Maker = Callable[[np.random.Generator, Sites], _Trait]


def sample_lookalikes(rng: np.random.Generator, level: Level, sites: Sites, *, broken: bool) -> tuple[Lookalike, ...]:
    """Samples what a vertebra has; at most one kind that is no vessel, so that they do not meet."""
    out: list[Lookalike] = []
    shaped = False
    for kind, share in SHARES[level].items():
        wanted = rng.random() < share
        if wanted and (kind in _VESSELS or not (broken or shaped)):
            shaped = shaped or kind not in _VESSELS
            out.append(sample_lookalike(rng, level, sites, kind))
    return tuple(out)


def sample_lookalike(rng: np.random.Generator, level: Level, sites: Sites, kind: str) -> Lookalike:
    """Samples one of a given kind, of :data:`SHARES`."""
    trait = _MAKERS[kind](rng, sites)
    facts = LookalikeFacts(level, kind, vector(trait.site), round(trait.size_mm, 3))
    return Lookalike(facts, trait.changes[0] if len(trait.changes) == 1 else Several(trait.changes))


def _basivertebral_vein(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples a Y in the middle of the body, open to the canal."""
    wide, deep, tall = sites.half_mm
    z = rng.normal(0, 0.1) * tall
    back, fork = np.array([rng.normal(0, 0.5), deep + 1.5, z]), np.array([0.0, rng.uniform(0.0, 0.35) * deep, z])
    wide_mm, hu = float(rng.uniform(0.5, 1.5)), float(rng.uniform(30, 140))
    canals = [Canal(vector(back), vector(fork), (wide_mm, 0.5 * wide_mm), hu)]
    for side in (LEFT, RIGHT):
        end = np.array([side * rng.uniform(0.3, 0.6) * wide, fork[1] - rng.uniform(0.2, 0.5) * deep, z + rng.normal(0, 0.8)])
        canals.append(Canal(vector(fork), vector(end), (0.45 * wide_mm, 0.25), hu))
    return _Trait(fork, 2 * wide_mm, tuple(canals))


def _nutrient_canal(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples one thin straight canal into the front of the body, a pillar or a lamina."""
    side = LEFT if rng.random() < 0.5 else RIGHT
    wide, deep, tall = sites.half_mm
    entries = (
        (np.array([rng.uniform(-0.7, 0.7) * wide, -deep - 1.0, rng.normal(0, 0.25) * tall]), np.zeros(3)),
        (beside(sites.pillar[side], side * 8.0, rng.normal(0, 2)), sites.pillar[side]),
        (beside(sites.lamina[side], 0.0, 5.0, rng.normal(0, 1)), sites.lamina[side]),
    )
    # C1 has no body
    start, middle = entries[int(rng.integers(1 if abs(sites.front[1]) > deep + 1 else 0, len(entries)))]
    way = middle - start + rng.normal(0, 1.0, 3)
    end = start + way / np.linalg.norm(way) * rng.uniform(6, 11)
    wide_mm = float(rng.uniform(0.3, 0.6))
    return _Trait(
        (start + end) / 2, 2 * wide_mm, (Canal(vector(start), vector(end), (wide_mm, 0.25), float(rng.uniform(20, 120))),)
    )


def _slit(rng: np.random.Generator, site: Site, normal: Site, gap_mm: float, reach_mm: float, round_mm: float = 1.2) -> _Trait:
    unit = normal / np.linalg.norm(normal)
    rim, seed = float(rng.uniform(0.1, 0.5)), int(rng.integers(1 << 20))
    return _Trait(site, gap_mm, (Slit(vector(site), vector(unit), gap_mm, reach_mm, round_mm, rim, seed),))


def _posterior_cleft(rng: np.random.Generator, sites: Sites) -> _Trait:
    normal = np.array([1.0, rng.normal(0, 0.2), rng.normal(0, 0.1)])
    return _slit(rng, beside(sites.arch, rng.normal(0, 0.8)), normal, float(rng.uniform(1.0, 6.0)), 12.0, 2.0)


def _anterior_cleft(rng: np.random.Generator, sites: Sites) -> _Trait:
    return _slit(rng, beside(sites.front, rng.normal(0, 0.6)), np.array([1.0, 0.0, 0.1]), float(rng.uniform(0.8, 3.0)), 12.0, 2.0)


def _os_odontoideum(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples a dens that never joined the body: a round ossicle above a rounded stump."""
    site = beside(sites.dens_base, z=float(rng.uniform(0.5, 3.0)))
    return _slit(rng, site, np.array([0.0, rng.normal(0, 0.2), 1.0]), float(rng.uniform(2.0, 4.5)), 12.0, 3.5)


def _dens_tip_ossicle(rng: np.random.Generator, sites: Sites) -> _Trait:
    site = beside(sites.dens_tip, z=-float(rng.uniform(3.0, 4.5)))
    return _slit(rng, site, np.array([0.0, 0.0, 1.0]), float(rng.uniform(0.8, 1.6)), 7.0, 1.5)


def _synchondrosis(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples the scar of the growth plate below the dens: a lucent disc between dense ones, away from the cortex."""
    site = beside(sites.dens_base, z=-float(rng.uniform(2.0, 4.0)))
    reach = float(rng.uniform(3.5, 5.5))
    thin = float(rng.uniform(0.5, 0.9))
    layers = [Cloud(vector(beside(site, z=z)), (reach, reach, 1.0), 0.45) for z in (-1.3, 1.3)]
    return _Trait(site, 2 * thin, (*layers, Cloud(vector(site), (reach, reach, thin), -0.75)))


def _limbus(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples a corner of the body that disc tissue cut off in youth."""
    wide, deep, tall = sites.half_mm
    up = 1 if rng.random() < 0.6 else -1
    site = np.array([rng.normal(0, 0.15) * wide, -0.68 * deep, 0.66 * up * tall])
    trait = _slit(rng, site, np.array([rng.normal(0, 0.1), -0.75, 0.65 * up]), float(rng.uniform(0.9, 2.0)), 7.0, 1.6)
    return _Trait(site, trait.size_mm, (*trait.changes, Cloud(vector(beside(site, y=2.5)), (5.0, 2.5, 2.5), 0.35)))


def _schmorl_node(rng: np.random.Generator, sites: Sites) -> _Trait:
    wide, deep, tall = sites.half_mm
    up = 1 if rng.random() < 0.5 else -1
    site = np.array([rng.normal(0, 0.25) * wide, rng.normal(0.1, 0.2) * deep, up * tall])
    radii = (float(rng.uniform(1.8, 4.0)), float(rng.uniform(1.8, 4.0)), float(rng.uniform(1.8, 3.5)))
    return _Trait(site, 2 * radii[0], (Pit(Ellipsoid(vector(site), radii)),))


def _healed_wedge(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples a body that lost height in front long ago: intact end plates, dense below, a blunt spur."""
    wide, deep, tall = sites.half_mm
    lost = float(rng.uniform(0.12, 0.35)) * 2 * tall
    site = np.array([0.0, 0.0, tall - 0.45 * lost])
    normal = np.array([rng.normal(0, 0.04), -lost / (2.2 * deep), 1.0])
    plane = Shaved(vector(site), vector(normal / np.linalg.norm(normal)), float(wide), int(rng.integers(1 << 20)))
    band = Cloud(vector(beside(site, y=-0.3 * deep, z=-2.5)), (0.9 * wide, 0.8 * deep, 2.5), float(rng.uniform(0.15, 0.4)))
    spur = Ellipsoid((float(rng.normal(0, 1)), -float(deep), float(tall - lost - 0.5)), (5.0, 2.2, 1.6))
    return _Trait(site, lost, (plane, Growth((spur,), 2.0), band))


def _healed_spinous(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples a knot of old callus on the spinous process."""
    site = sites.arch + (sites.spinous - sites.arch) * rng.uniform(0.5, 0.75) * np.array([0.0, 1.0, 1.0])
    radii = vector(rng.uniform((3.3, 3.3, 3.8), (4.7, 4.7, 5.2)))
    return _Trait(site, 2 * radii[2], (Growth((Ellipsoid(vector(site), radii),), 2.5, 2.0), Cloud(vector(site), radii, 0.35)))


def _spinous_ossicle(rng: np.random.Generator, sites: Sites) -> _Trait:
    along = (sites.spinous - sites.arch) * np.array([0.0, 1.0, 1.0])
    site = sites.arch * np.array([0.0, 1.0, 1.0]) + along * rng.uniform(0.7, 0.85)
    return _slit(rng, site, along + rng.normal(0, 1.5, 3), float(rng.uniform(1.2, 3.0)), 16.0, 2.0)


def _transverse_ossicle(rng: np.random.Generator, sites: Sites) -> _Trait:
    side = LEFT if rng.random() < 0.5 else RIGHT
    tip = sites.transverse[side]
    site = tip - (tip - sites.pillar[side]) * rng.uniform(0.2, 0.35)
    return _slit(rng, site, np.array([side, -0.3, 0.0]), float(rng.uniform(0.9, 1.8)), 8.0, 1.8)


def _facet_ossicle(rng: np.random.Generator, sites: Sites) -> _Trait:
    side = LEFT if rng.random() < 0.5 else RIGHT
    tip = sites.facet_up[side] if rng.random() < 0.4 else sites.facet_down[side]
    way = tip - sites.pillar[side]
    site = tip - way / np.linalg.norm(way) * rng.uniform(3.0, 4.0)
    return _slit(rng, site, way, float(rng.uniform(0.9, 1.6)), 7.0, 1.8)


def _bifid_spinous(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples a notch between the two ends of the spinous process."""
    site = sites.spinous * np.array([0.0, 1.0, 1.0])
    return _slit(rng, site, np.array([1.0, 0.0, 0.0]), float(rng.uniform(1.5, 4.0)), float(rng.uniform(5.0, 9.0)), 2.0)


def _nuchal_ossicle(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples bone in the ligament of the nape, behind a spinous process."""
    radii = (float(rng.uniform(1.0, 2.0)), float(rng.uniform(1.5, 3.0)), float(rng.uniform(3.0, 6.5)))
    site = beside(sites.spinous * np.array([0.0, 1.0, 1.0]), y=radii[1] + float(rng.uniform(2.5, 6.0)), z=float(rng.uniform(-5, 0)))
    return _Trait(site, 2 * radii[2], (Growth((Ellipsoid(vector(site), radii),), 14.0, 0.2, 0.5),))


def _ligament_flake(rng: np.random.Generator, sites: Sites) -> _Trait:
    """Samples a flake of lime in the ligament in front of a disc."""
    _, deep, tall = sites.half_mm
    radii = (float(rng.uniform(2.0, 4.0)), float(rng.uniform(0.7, 1.2)), float(rng.uniform(1.5, 3.0)))
    site = np.array([rng.normal(0, 2), -deep - rng.uniform(1.0, 2.0), -tall - 2.5])
    return _Trait(site, 2 * radii[0], (Growth((Ellipsoid(vector(site), radii),), 7.0, 0.2, 0.8),))


_MAKERS: dict[str, Maker] = {
    "basivertebral_vein": _basivertebral_vein,
    "nutrient_canal": _nutrient_canal,
    "posterior_arch_cleft": _posterior_cleft,
    "anterior_arch_cleft": _anterior_cleft,
    "os_odontoideum": _os_odontoideum,
    "dens_tip_ossicle": _dens_tip_ossicle,
    "synchondrosis": _synchondrosis,
    "limbus": _limbus,
    "schmorl_node": _schmorl_node,
    "healed_wedge": _healed_wedge,
    "healed_spinous_process": _healed_spinous,
    "spinous_ossicle": _spinous_ossicle,
    "transverse_ossicle": _transverse_ossicle,
    "facet_ossicle": _facet_ossicle,
    "bifid_spinous_process": _bifid_spinous,
    "nuchal_ossicle": _nuchal_ossicle,
    "ligament_flake": _ligament_flake,
}

_SUBAXIAL = {
    "basivertebral_vein": 0.6,
    "nutrient_canal": 0.2,
    "limbus": 0.02,
    "schmorl_node": 0.03,
    "healed_wedge": 0.02,
    "healed_spinous_process": 0.01,
    "spinous_ossicle": 0.015,
    "transverse_ossicle": 0.01,
    "facet_ossicle": 0.012,
    "bifid_spinous_process": 0.1,
    "nuchal_ossicle": 0.02,
    "ligament_flake": 0.02,
}

SHARES: dict[Level, dict[str, float]] = {
    Level.C1: {"nutrient_canal": 0.2, "posterior_arch_cleft": 0.07, "anterior_arch_cleft": 0.015},
    Level.C2: {
        "basivertebral_vein": 0.3,
        "nutrient_canal": 0.2,
        "os_odontoideum": 0.015,
        "dens_tip_ossicle": 0.015,
        "synchondrosis": 0.07,
        "bifid_spinous_process": 0.1,
    },
    Level.C3: _SUBAXIAL,
    Level.C4: _SUBAXIAL,
    Level.C5: _SUBAXIAL,
    Level.C6: _SUBAXIAL | {"healed_spinous_process": 0.025, "spinous_ossicle": 0.03, "bifid_spinous_process": 0.04},
    Level.C7: _SUBAXIAL
    | {"healed_spinous_process": 0.025, "spinous_ossicle": 0.03, "transverse_ossicle": 0.03, "bifid_spinous_process": 0.0},
}
"""How often a vertebra has what."""
