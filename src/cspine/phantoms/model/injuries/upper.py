"""Fractures of C1 and C2."""

import numpy as np

from cspine.phantoms.model.injuries.draft import Draft, vector
from cspine.phantoms.model.injuries.pieces import Cut, Fracture, Motion
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Site, beside


def anterior_arch(draft: Draft) -> Fracture:
    """Samples one break of the anterior arch of C1, in the middle or beside it."""
    side = int(draft.rng.choice([LEFT, 0, RIGHT]))
    site = draft.near(draft.sites.pedicle[side] if side else draft.sites.front, 0.7)
    cut = draft.cut(site, draft.towards((1.0, 0.3 * side, 0.0)), 4.0)
    return draft.local(draft.fracture("anterior_arch", side, [cut], [draft.moved(site, (0.7, -0.6, 0.0), 0.6)]), 12.0)


def posterior_arch(draft: Draft) -> Fracture:
    """Samples breaks of the posterior arch of C1 where it leaves the lateral masses; on one side, or on both with the arch free."""
    if draft.rng.random() < 0.35:
        side = draft.side()
        site = _groove(draft, side)
        cut = draft.cut(site, draft.towards(_along_groove(draft, side)), 4.0)
        moved = draft.moved(site, (-0.4 * side, 0.8, 0.3), 0.6)
        return draft.local(draft.fracture("posterior_arch", side, [cut], [moved]), 14.0)
    cuts = [draft.cut(_groove(draft, side), draft.towards(_along_groove(draft, side)), 4.0) for side in (LEFT, RIGHT)]
    return draft.fracture("posterior_arch", "both", cuts, [draft.moved(draft.sites.arch, (0.0, 0.9, 0.4))])


def jefferson(draft: Draft) -> Fracture:
    """Samples two to four breaks of the ring of C1, one in front, one behind at least; lateral masses spread (Jefferson 1920)."""
    front_two, back_two = draft.rng.random() < 0.35, draft.rng.random() < 0.5
    masses = {LEFT: 1, RIGHT: 2}
    cuts: list[Cut] = []
    motions = [draft.moved(draft.sites.pillar[side], (side, 0.0, 0.0), 0.75) for side in masses]
    if front_two:
        motions.append(draft.moved(draft.sites.front, (0.0, -1.0, 0.0), 0.5))
        cuts.extend(_front_cut(draft, 0.8 * side, side, len(motions), mass) for side, mass in masses.items())
    else:
        cuts.append(_front_cut(draft, float(draft.rng.uniform(-0.9, 0.9)), LEFT, masses[RIGHT], masses[LEFT]))
    if back_two:
        motions.append(draft.moved(draft.sites.arch, (0.0, 1.0, 0.3), 0.6))
        cuts.extend(_back_cut(draft, side, mass, len(motions)) for side, mass in masses.items())
    else:
        side = draft.side()
        cuts.append(_back_cut(draft, side, masses[side], masses[-side]))
    return draft.fracture("jefferson", "both", cuts, motions)


def lateral_mass(draft: Draft) -> Fracture:
    """Samples a split of a lateral mass of C1 or C2, from front to back or across."""
    side = draft.side()
    site = draft.near(draft.sites.pillar[side], 1.5)
    steep = draft.rng.random() < 0.5
    normal = draft.towards((side * 0.9, 0.3, 0.2) if steep else (side * 0.2, 0.95, 0.2), 0.25)
    fracture = draft.fracture("lateral_mass", side, [draft.cut(site, normal)], [draft.moved(site, (side, 0.1, -0.2), 0.7)])
    return draft.local(fracture, 19.0)


def odontoid_tip(draft: Draft) -> Fracture:
    """Samples type I of Anderson and D'Alonzo (1974): an oblique break of the tip, where the alar ligament pulls."""
    side = draft.side()
    site = draft.near(beside(draft.sites.dens_tip, z=-4.5), 0.6)
    cut = draft.cut(site, draft.towards((side * 0.5, 0.0, 0.85), 0.15), 4.0)
    return draft.fracture("odontoid_type_1", side, [cut], [draft.moved(site, (side * 0.4, 0.0, 0.9), 0.7)], [draft.sites.dens_base])


def odontoid_neck(draft: Draft) -> Fracture:
    """Samples type II: across the base of the dens, which moves backwards more often than forwards in the old."""
    site = draft.near(beside(draft.sites.dens_base, z=0.8), 0.9)
    cut = draft.cut(site, draft.towards((0.0, draft.rng.normal(0, 0.3), 1.0), 0.1), 6.0)
    way = 1 if draft.rng.random() < 0.65 else -1
    return draft.fracture("odontoid_type_2", "middle", [cut], [_tilted(draft, site, way)], _masses_below(draft))


def odontoid_body(draft: Draft) -> Fracture:
    """Samples type III: through the body of C2 below the dens, often into an upper facet."""
    base, half = draft.sites.dens_base, draft.sites.half_mm
    site = draft.near(beside(base, z=-0.45 * (base[2] + half[2] * 0.2)), 1.0)
    slope = draft.rng.normal(0, 0.35)
    cut = draft.cut(site, draft.towards((draft.rng.normal(0, 0.2), slope, 1.0), 0.1), 6.0)
    way = 1 if draft.rng.random() < 0.4 else -1
    behind = [beside(draft.sites.pedicle[side], y=3, z=-2) for side in (LEFT, RIGHT)]
    return draft.fracture("odontoid_type_3", "middle", [cut], [_tilted(draft, site, way)], [*behind, draft.sites.arch])


def pars(draft: Draft) -> Fracture:
    """Samples breaks of both pars of C2: the hangman's fracture (Effendi 1981); the arch stays behind, sides are never alike."""
    cuts = []
    for side in (LEFT, RIGHT):
        site = draft.near(beside(draft.sites.pedicle[side], y=draft.rng.normal(0, 1.8)), 0.8)
        cuts.append(draft.cut(site, draft.towards((side * 0.25, 0.9, -0.35), 0.2), 5.0))
    motion = draft.moved(draft.sites.arch, (0.0, 0.95, -0.2), 0.8)
    wide, deep, tall = draft.sites.half_mm
    stays = [(0.0, 0.9 * deep, 0.0), (0.0, 0.8 * deep, -0.7 * tall), (0.6 * wide, 0.7 * deep, -0.3 * tall)]
    fences = [np.array([side * x, y, z]) for x, y, z in stays for side in (LEFT, RIGHT)]
    return draft.fracture("pars", "both", cuts, [motion], fences)


def axis_body(draft: Draft) -> Fracture:
    """Samples a body of C2 that is split from side to side or from front to back (Benzel 1994)."""
    middle = np.array([0.0, 0.0, 0.0])
    if draft.rng.random() < 0.5:
        cut = draft.cut(draft.near(middle, 1.5), draft.towards((0.1, 1.0, 0.1)), 5.0, behind=1, ahead=0)
        motion = draft.moved(middle, (0.0, -1.0, 0.0), 0.7)
    else:
        cut = draft.cut(draft.near(middle, 1.5), draft.towards((1.0, 0.0, 0.15)), 5.0)
        motion = draft.moved(middle, (1.0, -0.3, 0.0), 0.6)
    return draft.local(draft.fracture("body", "middle", [cut], [motion]), 17.0)


def axis_teardrop(draft: Draft) -> Fracture:
    """Samples a lower front corner of C2 that was pulled off when the neck was thrown back."""
    half = draft.sites.half_mm
    site = draft.near((0.0, -0.45 * half[1], -0.72 * half[2]), 0.7)
    cut = draft.cut(site, draft.towards((0.0, -0.75, -0.6), 0.12), 4.0)
    return draft.fracture("teardrop", "middle", [cut], [draft.moved(site, (0.0, -0.6, -0.7))], [np.array([0, 0.5 * half[1], 0])])


def _tilted(draft: Draft, pivot: Site, way: int) -> Motion:
    """Samples the motion of the dens: it slides along y and leans to where it slid."""
    shift = draft.towards((0.0, way, 0.25), 0.15) * draft.severity.displacement_mm
    turn = np.array([-way * draft.severity.angle_deg, draft.rng.normal(0, 0.3) * draft.severity.angle_deg, 0.0])
    return Motion(vector(pivot), vector(turn), vector(shift))


def _masses_below(draft: Draft) -> list[Site]:
    """Returns the places beside the foot of the dens that stay."""
    return [draft.sites.pillar[side] for side in (LEFT, RIGHT)]


def _groove(draft: Draft, side: int) -> Site:
    return draft.near(draft.sites.lamina[side], 1.0)


def _along_groove(draft: Draft, side: int) -> Site:
    """Returns the direction from the lateral mass into the posterior arch."""
    way = draft.sites.arch - draft.sites.pillar[side]
    return np.array([way[0] * 0.6, way[1], 0.0])


def _front_cut(draft: Draft, place: float, side: int, behind: int, ahead: int) -> Cut:
    """Returns a cut of the anterior arch at -1 (its right end) to 1 (its left end)."""
    end = draft.sites.pedicle[LEFT if place > 0 else RIGHT]
    site = draft.sites.front + abs(place) * (end - draft.sites.front)
    normal = draft.towards((side, 0.4 * abs(place), 0.0))
    return draft.cut(draft.near(site, 0.6), normal, 4.0, behind=behind, ahead=ahead)


def _back_cut(draft: Draft, side: int, behind: int, ahead: int) -> Cut:
    normal = draft.towards(_along_groove(draft, side))
    return draft.cut(_groove(draft, side), normal, 4.0, behind=behind, ahead=ahead)
