"""Wear: spurs, narrow discs, dense end plates, thick facets, thin bone, levels that grew together.

How worn a neck is, is one number; a joint wears as its place in the neck and chance say: C5-C6 and C6-C7 most. The numbers are our
choice.
"""

from dataclasses import dataclass

import numpy as np

from cspine.anatomy import Level
from cspine.phantoms.model.alterations import Bump, Cloud, Growth, Thickening
from cspine.phantoms.model.changes import BoneChange
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Sites, beside
from cspine.phantoms.model.shapes import Ellipsoid, ImplicitShape
from cspine.phantoms.model.variation import DegenerationRanges

JOINTS = ("C2", "C3", "C4", "C5", "C6", "C7")
"""Discs, by the vertebra above them."""

_PRONE = {"C2": 0.35, "C3": 0.6, "C4": 0.85, "C5": 1.2, "C6": 1.15, "C7": 0.5}
_AS_USUAL = DegenerationRanges()
_NARROWED = 0.17
"""A disc that is wholly worn takes this share of the distance between two vertebrae."""


@dataclass(frozen=True, slots=True)
class Wear:
    """Says how worn a neck is.

    Attributes:
        share: The whole neck, 0..1.
        discs: Each joint, by the vertebra above, 0..1.
        facets: Each pair of facet joints, by the vertebra above, 0..1.
        fused: Joints that grew together, by the vertebra above.
    """

    share: float
    discs: dict[str, float]
    facets: dict[str, float]
    fused: tuple[str, ...] = ()

    def stretch(self, above: str) -> float:
        """Returns how much nearer than at rest a vertebra sits to the one below."""
        if above in self.fused:
            return 0.86
        return 1 - _NARROWED * max(0.0, self.discs.get(above, 0.0) - 0.2)


def sample_wear(rng: np.random.Generator, ranges: DegenerationRanges = _AS_USUAL) -> Wear:
    """Samples how worn a neck is: most are little worn, a few much, unless ``ranges`` say otherwise."""
    share = float(rng.beta(*ranges.severity))
    discs = {name: float(np.clip(share * prone * np.exp(rng.normal(0, 0.35)), 0, 1)) for name, prone in _PRONE.items()}
    facets = {name: float(np.clip(share * np.exp(rng.normal(-0.3, 0.5)), 0, 1)) for name in _PRONE}
    fused = tuple(name for name in ("C2", "C3", "C4", "C5", "C6") if rng.random() < ranges.fused_share)
    return Wear(share, discs, facets, fused)


def sample_degeneration(rng: np.random.Generator, wear: Wear, level: Level, sites: Sites) -> tuple[BoneChange, ...]:
    """Returns what wear has made of one vertebra."""
    changes: list[BoneChange] = []
    below, above = wear.discs.get(level.name, 0.0), wear.discs.get(f"C{level - 1}", 0.0)
    for way, worn in ((-1, below), (1, above)):
        if level >= Level.C3 or (level is Level.C2 and way < 0):
            changes.extend(_end_plate(rng, sites, way, worn))
    if level >= Level.C3:
        changes.extend(_uncovertebral(rng, sites, above))
    if level >= Level.C2:
        changes.extend(_facets(rng, sites, -1, wear.facets.get(level.name, 0.0)))
    if level >= Level.C3:
        changes.extend(_facets(rng, sites, 1, wear.facets.get(f"C{level - 1}", 0.0)))
    if level.name in wear.fused:
        changes.append(_bridge(sites, -1))
    if f"C{level - 1}" in wear.fused:
        changes.append(_bridge(sites, 1))
    return tuple(changes)


def _end_plate(rng: np.random.Generator, sites: Sites, way: int, worn: float) -> list[BoneChange]:
    """Samples spurs along the front and back rim, and a dense band under the end plate."""
    changes: list[BoneChange] = []
    wide, deep, tall = sites.half_mm
    if worn > 0.3 and rng.random() < 0.85:
        changes.append(_lip(rng, sites, way, -1, float(np.clip((worn - 0.2) * rng.uniform(1.5, 4.5), 0.6, 3.2))))
    if worn > 0.4 and rng.random() < 0.6:
        changes.append(_lip(rng, sites, way, 1, float(np.clip((worn - 0.3) * rng.uniform(1.0, 2.8), 0.5, 1.8))))
    if worn > 0.35:
        gain = float((worn - 0.3) * rng.uniform(0.2, 0.8))
        middle = (float(rng.normal(0, 0.2) * wide), float(rng.normal(0, 0.3) * deep), way * (tall - 0.5))
        changes.append(Cloud(middle, (0.8 * wide, 0.7 * deep, float(rng.uniform(1.5, 3.0))), gain))
    if worn > 0.55 and rng.random() < 0.3:
        cyst = (float(rng.normal(0, 0.35) * wide), float(rng.normal(0, 0.35) * deep), way * (tall - 2.2))
        radius = float(rng.uniform(0.8, 1.6))
        changes.append(Cloud(cyst, (radius, radius, radius), -0.8))
    return changes


def _lip(rng: np.random.Generator, sites: Sites, way: int, side: int, size_mm: float) -> BoneChange:
    """Returns a lip along a stretch of the front (-1) or back (1) rim of an end plate."""
    wide, deep, tall = (float(n) for n in sites.half_mm)
    middle, half = float(rng.normal(0, 0.25)), float(rng.uniform(0.4, 0.9))
    bumps = []
    for angle in np.linspace(middle - half, middle + half, 5):
        place = (wide * np.sin(angle), side * deep * np.cos(angle), way * (tall - 0.3))
        bumps.append(Bump(vector(place), (3.2, 4.0, 1.7), size_mm * float(rng.uniform(0.45, 0.75))))
    return Thickening(tuple(bumps), size_mm, 0.35)


def _uncovertebral(rng: np.random.Generator, sites: Sites, worn: float) -> list[BoneChange]:
    """Samples spurs of the uncinate processes that narrow the foramina."""
    wide, deep, tall = (float(n) for n in sites.half_mm)
    out: list[BoneChange] = []
    for side in (LEFT, RIGHT):
        if worn > 0.35 and rng.random() < 0.65:
            size = float(np.clip((worn - 0.25) * rng.uniform(1.5, 3.5), 0.6, 2.4))
            place = (side * 0.9 * wide, float(rng.uniform(0.1, 0.6)) * deep, tall + 0.5)
            out.append(Thickening((Bump(place, (3.0, 3.5, 3.0), size),), size, 0.4))
    return out


def _facets(rng: np.random.Generator, sites: Sites, way: int, worn: float) -> list[BoneChange]:
    """Returns thick, dense articular processes."""
    out: list[BoneChange] = []
    for side in (LEFT, RIGHT):
        own = float(np.clip(worn * rng.uniform(0.4, 1.4), 0, 1))
        if own < 0.35:
            continue
        place = (sites.facet_up if way > 0 else sites.facet_down)[side]
        size = float(np.clip((own - 0.2) * rng.uniform(1.2, 2.8), 0.4, 2.0))
        inwards = beside(place, z=-way * 2.5)
        bumps = [Bump(vector(inwards + rng.normal(0, 1.5, 3)), (3.5, 3.0, 3.5), 0.7 * size) for _ in range(3)]
        out.append(Thickening(tuple(bumps), size, 0.25))
        out.append(Cloud(vector(inwards), (5.0, 4.0, 4.0), 0.5 * own))
    return out


def _bridge(sites: Sites, way: int) -> BoneChange:
    """Returns half of the bone that fills the space of a disc, and of the facet joints beside it."""
    wide, deep, tall = sites.half_mm
    parts: list[ImplicitShape] = [Ellipsoid((0.0, 0.0, float(way * (tall + 0.5))), (0.85 * wide, 0.85 * deep, 3.4))]
    for side in (LEFT, RIGHT):
        place = (sites.facet_up if way > 0 else sites.facet_down)[side]
        parts.append(Ellipsoid(vector(beside(place, z=-way * 4.0)), (5.0, 5.0, 5.0)))
    return Growth(tuple(parts), 3.2, 2.0, 0.0)
