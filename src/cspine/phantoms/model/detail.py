"""Samples the fine detail of bones: compact and spongy bone, vessels of many shapes, worn joints, loose rounded pieces.

None of it is a fracture. Detail that changes the outline of a bone, such as a loose piece, is left out where the bone is fractured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cspine.anatomy import CERVICAL, Level
from cspine.phantoms.model.alterations import Bump, Canal, Cloud, Growth, Pit, Several, Thickening
from cspine.phantoms.model.changes import BoneChange
from cspine.phantoms.model.injuries import Sites, find_sites
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Site, beside
from cspine.phantoms.model.lookalikes import Lookalike, LookalikeFacts
from cspine.phantoms.model.neck import LABELS, Material, Neck
from cspine.phantoms.model.shapes import Ellipsoid, Sampled
from cspine.phantoms.model.variation import DetailRanges, Range

_THINNEST_MM, _THICKEST_MM = 0.25, 2.2
_PLAIN = DetailRanges()
_SIDES = (LEFT, RIGHT)

KINDS = ("fatty_marrow", "venous_plexus", "wide_canal", "worn_facet", "loose_ossicle")
"""What a truth table calls them."""


def with_detail(rng: np.random.Generator, neck: Neck, ranges: DetailRanges) -> Neck:
    """Returns the neck with the detail that some ranges ask for; the neck itself where they ask for none.

    Args:
        rng: Random generator, of this alone.
        neck: The neck, posed, with its fractures.
        ranges: How far detail differs.
    """
    if replace(ranges, atlas_mm=_PLAIN.atlas_mm) == _PLAIN:
        return neck
    person, *levels = rng.spawn(1 + len(CERVICAL))
    bone_of_all = _PersonalBone.sampled(person, ranges)
    for bone in neck.bones:
        made = bone_of_all.material(bone.material) if bone.name in LABELS else bone.material
        made = replace(made, cortex_roughness_hu=ranges.cortex_roughness * made.cortex_hu)
        neck = neck.with_bone(replace(bone, material=made))
    for level, own in zip(CERVICAL, levels, strict=True):
        bone = neck.bone(level.name)
        if isinstance(bone.shape, Sampled):
            sites = bone.moved_sites(find_sites(level, bone.shape.bone))
            changes = _sample_changes(own, level, sites, ranges, intact=not bone.injuries)
            neck = neck.with_bone(replace(bone, changes=(*bone.changes, *changes)))
    return neck


@dataclass(frozen=True, slots=True)
class _PersonalBone:
    """Holds what all vertebrae of one person have in common."""

    cortex: float
    unevenness: float
    grain_mm: float
    clumps_mm: float
    roughness: float
    striation: float

    @classmethod
    def sampled(cls, rng: np.random.Generator, ranges: DetailRanges) -> "_PersonalBone":
        """Samples one person."""
        return cls(
            _log_uniform(rng, ranges.cortex),
            float(rng.uniform(*ranges.unevenness)),
            float(rng.uniform(*ranges.grain_mm)),
            float(rng.uniform(*ranges.clumps_mm)),
            _log_uniform(rng, ranges.roughness),
            float(rng.uniform(*ranges.striation)),
        )

    def material(self, usual: Material) -> Material:
        """Returns what a vertebra is made of."""
        return replace(
            usual,
            cortex_mm=float(np.clip(usual.cortex_mm * self.cortex, _THINNEST_MM, _THICKEST_MM)),
            roughness_hu=usual.roughness_hu * self.roughness,
            unevenness=self.unevenness,
            grain_mm=self.grain_mm,
            clumps_mm=self.clumps_mm,
            striation=self.striation,
        )


@dataclass(frozen=True, slots=True)
class _Detail:
    """Holds one thing that a vertebra has."""

    kind: str
    site: Site
    size_mm: float
    changes: tuple[BoneChange, ...]

    def at(self, level: Level) -> Lookalike:
        """Returns it as a truth table tells it."""
        facts = LookalikeFacts(level, self.kind, vector(self.site), round(self.size_mm, 3))
        return Lookalike(facts, self.changes[0] if len(self.changes) == 1 else Several(self.changes))


def _sample_changes(
    rng: np.random.Generator, level: Level, sites: Sites, ranges: DetailRanges, *, intact: bool
) -> tuple[BoneChange, ...]:
    """Samples what one vertebra has."""
    found: list[_Detail] = []
    has_body = level is not Level.C1
    wanted = dict(zip(KINDS, rng.random(len(KINDS)), strict=True))
    if has_body and wanted["fatty_marrow"] < ranges.marrow_share:
        found.append(_marrow(rng, sites))
    if has_body and wanted["venous_plexus"] < ranges.vein_share:
        found.append(_SHAPES[int(rng.integers(len(_SHAPES)))](rng, sites))
    if wanted["wide_canal"] < ranges.canal_share:
        found.append(_canal(rng, sites))
    for side in _SIDES:
        for facets in (sites.facet_up, sites.facet_down):
            if rng.random() < ranges.facet_share:
                found.append(_worn_facet(rng, facets[side], sites.pillar[side], intact=intact))
    if intact and wanted["loose_ossicle"] < ranges.ossicle_share:
        found.append(_ossicle(rng, level, sites))
    return tuple(detail.at(level) for detail in found)


def _marrow(rng: np.random.Generator, sites: Sites) -> _Detail:
    """Samples one to four places of fat or thin bone in the body."""
    places, clouds = sites.half_mm * rng.uniform(-0.6, 0.6, (int(rng.integers(1, 5)), 3)), []
    for place in places:
        radii = vector(rng.uniform(1.5, 4.5, 3))
        clouds.append(Cloud(vector(place), radii, -float(rng.uniform(0.3, 0.9))))
    return _Detail("fatty_marrow", places[0], 2 * max(clouds[0].radii_mm), tuple(clouds))


def _comb(rng: np.random.Generator, sites: Sites) -> _Detail:
    """Samples two or three veins beside each other, from the canal forwards."""
    wide, deep, _ = sites.half_mm
    z, hu = float(rng.normal(0, 0.6)), float(rng.uniform(0, 140))
    canals: list[BoneChange] = []
    for x in np.linspace(-0.45, 0.45, int(rng.integers(2, 4))) * wide:
        start = np.array([x + rng.normal(0, 0.5), deep + 1.5, z + rng.normal(0, 0.5)])
        end = start + np.array([rng.normal(0, 1.5), -rng.uniform(0.6, 1.4) * deep, rng.normal(0, 0.8)])
        canals.extend(_curved(rng, (start, end), (float(rng.uniform(0.3, 0.8)), 0.2), hu))
    return _Detail("venous_plexus", np.array([0.0, 0.3 * deep, z]), 1.0, tuple(canals))


def _tree(rng: np.random.Generator, sites: Sites) -> _Detail:
    """Samples a trunk with three to five branches that leave it at different depths, also upwards and downwards."""
    wide, deep, tall = sites.half_mm
    hu, thick = float(rng.uniform(0, 140)), float(rng.uniform(0.5, 1.4))
    back, tip = np.array([rng.normal(0, 1.0), deep + 1.5, rng.normal(0, 0.6)]), np.array([rng.normal(0, 1.5), -0.2 * deep, 0.0])
    canals: list[BoneChange] = [*_curved(rng, (back, tip), (thick, 0.4 * thick), hu)]
    for along in rng.uniform(0.25, 0.95, int(rng.integers(3, 6))):
        start = back + along * (tip - back)
        aside = rng.choice((-1, 1)) * rng.uniform(0.2, 0.7) * wide
        end = start + np.array([aside, -rng.uniform(0.0, 0.5) * deep, rng.normal(0, 0.35) * tall])
        canals.extend(_curved(rng, (start, end), (0.5 * thick, 0.2), hu))
    return _Detail("venous_plexus", back, 2 * thick, tuple(canals))


def _through(rng: np.random.Generator, sites: Sites) -> _Detail:
    """Samples a vein from the canal to an opening at the front or the side of the body."""
    wide, deep, _ = sites.half_mm
    z, thick = rng.normal(0, 0.8), float(rng.uniform(0.4, 1.0))
    back = np.array([rng.normal(0, 1.0), deep + 1.5, z])
    front = np.array([rng.uniform(-0.6, 0.6) * wide, -deep - 1.0, z + rng.normal(0, 1.5)])
    side = np.array([rng.choice((-1, 1)) * (wide + 1.0), rng.uniform(-0.5, 0.5) * deep, z + rng.normal(0, 1.5)])
    out = front if rng.random() < 0.6 else side
    canals = _curved(rng, (back, out), (thick, 0.6 * thick), float(rng.uniform(0, 140)))
    return _Detail("venous_plexus", (back + out) / 2, 2 * thick, tuple(canals))


def _lake(rng: np.random.Generator, sites: Sites) -> _Detail:
    """Samples a flat, irregular space in the middle of the body, as wide veins leave it, open to the canal."""
    wide, deep, _ = sites.half_mm
    z = float(rng.normal(0, 0.8))
    flat = float(rng.uniform(0.8, 1.8))
    parts: list[BoneChange] = [
        Cloud(
            (float(rng.uniform(-0.4, 0.4) * wide), float(rng.uniform(0.0, 0.7) * deep), z + float(rng.normal(0, 0.4))),
            (float(rng.uniform(2, 5)), float(rng.uniform(2, 5)), flat),
            -float(rng.uniform(0.5, 0.95)),
        )
        for _ in range(int(rng.integers(2, 5)))
    ]
    parts.append(Canal((0.0, float(deep + 1.5), z), (0.0, float(0.4 * deep), z), (flat, 0.5 * flat), float(rng.uniform(0, 100))))
    return _Detail("venous_plexus", np.array([0.0, 0.5 * deep, z]), 2 * flat, tuple(parts))


_SHAPES = (_comb, _tree, _through, _lake)


def _canal(rng: np.random.Generator, sites: Sites) -> _Detail:
    """Samples one wide canal into a pillar, a lamina or the root of a transverse process, straight or bent."""
    side = _SIDES[int(rng.integers(2))]
    middle = (sites.pillar, sites.lamina, sites.pedicle)[int(rng.integers(3))][side]
    way = rng.normal(0, 1, 3)
    way *= rng.uniform(4, 9) / np.linalg.norm(way)
    thick = float(rng.uniform(0.4, 1.0))
    canals = _curved(rng, (middle + way, middle - 0.3 * way), (thick, 0.3), float(rng.uniform(0, 120)))
    return _Detail("wide_canal", middle, 2 * thick, tuple(canals))


def _curved(rng: np.random.Generator, ends: tuple[Site, Site], radii_mm: tuple[float, float], hu: float) -> Sequence[BoneChange]:
    """Returns a canal in two parts that bends in the middle."""
    start, end = ends
    middle = (start + end) / 2 + rng.normal(0, 0.12 * float(np.linalg.norm(end - start)), 3)
    half = (radii_mm[0] + radii_mm[1]) / 2
    return (
        Canal(vector(start), vector(middle), (radii_mm[0], half), hu),
        Canal(vector(middle), vector(end), (half, radii_mm[1]), hu),
    )


def _worn_facet(rng: np.random.Generator, tip: Site, pillar: Site, *, intact: bool) -> _Detail:
    """Samples an articular process that is worn unevenly: bumps, erosions, cysts, dense bone."""
    inwards = tip + 0.35 * (pillar - tip)
    size = float(rng.uniform(0.3, 1.6))
    bumps = tuple(
        Bump(vector(inwards + rng.normal(0, 2.5, 3)), vector(rng.uniform(1.2, 3.0, 3)), size * float(rng.uniform(0.4, 1.0)))
        for _ in range(int(rng.integers(2, 6)))
    )
    changes: list[BoneChange] = [Thickening(bumps, size, float(rng.uniform(0, 0.5)))]
    if intact and rng.random() < 0.4:
        hollow = Ellipsoid(vector(tip + rng.normal(0, 1.2, 3)), vector(rng.uniform(0.7, 1.8, 3)))
        changes.append(Pit(hollow, 0.8, float(rng.uniform(0.2, 0.8))))
    if rng.random() < 0.5:
        changes.append(
            Cloud(vector(inwards + rng.normal(0, 1.5, 3)), vector(rng.uniform(0.8, 1.8, 3)), -float(rng.uniform(0.5, 0.9)))
        )
    changes.append(Cloud(vector(inwards), (4.5, 4.0, 4.0), float(rng.uniform(0.0, 0.6))))
    return _Detail("worn_facet", inwards, size, tuple(changes))


def _ossicle(rng: np.random.Generator, level: Level, sites: Sites) -> _Detail:
    """Samples a rounded piece of bone that lies beside a process or a corner, with a smooth cortex of its own."""
    side = _SIDES[int(rng.integers(2))]
    wide, deep, tall = sites.half_mm
    middle = sites.pillar[side]
    tips = {
        "facet": (sites.facet_up[side], sites.pillar[side]),
        "lower facet": (sites.facet_down[side], sites.pillar[side]),
        "transverse": (sites.transverse[side], sites.pillar[side]),
        "spinous": (sites.spinous * (0.0, 1.0, 1.0), sites.arch * (0.0, 1.0, 1.0)),
    }
    if level is Level.C1:
        tips["anterior arch"] = (beside(sites.front, z=-4.0), sites.front)
    elif level is Level.C2:
        tips["dens"] = (sites.dens_tip, sites.dens_base)
    else:
        tips["corner"] = (np.array([rng.uniform(-0.5, 0.5) * wide, -deep, -tall]), np.zeros(3))
    tip, middle = tips[list(tips)[int(rng.integers(len(tips)))]]
    out = (tip - middle) / max(float(np.linalg.norm(tip - middle)), 1e-3)
    radii = rng.uniform(1.0, 2.4) * rng.uniform(0.7, 1.3, 3)
    gap = float(rng.uniform(0.6, 2.0))
    place = tip + out * (float(radii.max()) + gap) + rng.normal(0, 0.5, 3)
    spare = float(2 * radii.max() + gap + 2.0)
    return _Detail(
        "loose_ossicle", place, gap, (Growth((Ellipsoid(vector(place), vector(radii)),), spare, 0.2, float(rng.uniform(0.2, 0.8))),)
    )


def _log_uniform(rng: np.random.Generator, ranges: Range) -> float:
    return float(np.exp(rng.uniform(*np.log(ranges))))
