"""Fractures of C3 to C7."""

from dataclasses import replace

import numpy as np

from cspine.anatomy import Level
from cspine.phantoms.model.injuries.crush import Crush
from cspine.phantoms.model.injuries.draft import Draft, vector
from cspine.phantoms.model.injuries.pieces import Cut, Fracture, Motion
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Site, beside


def compression(draft: Draft) -> Fracture:
    """Samples a body whose front lost height; its upper front corner is fractured and pushed out a little."""
    half, severity = draft.sites.half_mm, draft.severity
    lost = 2 * half[2] * (0.04 + 0.36 * severity.share) * float(draft.rng.uniform(0.8, 1.1))
    site = draft.near((draft.rng.normal(0, 1.5), -0.5 * half[1], 0.45 * half[2]), 0.6)
    cut = draft.cut(site, draft.towards((0.1 * draft.rng.normal(), -0.65, 0.75), 0.15), 4.0)
    motion = draft.moved(site, (0.0, -0.9, -0.3), 0.5)
    fracture = draft.fracture("compression", "middle", [cut], [motion], _behind_the_body(draft))
    return replace(fracture, crush=_crush(draft, lost, 0.15 * lost))


def burst(draft: Draft) -> Fracture:
    """Samples a body that is crushed and split all over; a piece of its back wall goes into the canal (Denis 1983)."""
    wide, deep, tall = draft.sites.half_mm
    lost = 2 * tall * (0.05 + 0.3 * draft.severity.share) * float(draft.rng.uniform(0.8, 1.1))
    middle = draft.near((0.0, 0.0, 0.1 * tall), 0.8)
    left, right, back = 1, 2, 3
    cuts = [
        draft.cut(
            beside(middle, y=-0.5 * deep), draft.towards((1.0, 0.15 * draft.rng.normal(), 0.0)), 4.5, behind=right, ahead=left
        ),
        draft.cut(
            draft.near((0.3 * wide, 0.25 * deep, 0.2 * tall), 0.5), draft.towards((-0.6, 0.75, 0.1)), 3.5, behind=left, ahead=back
        ),
        draft.cut(
            draft.near((-0.3 * wide, 0.25 * deep, 0.2 * tall), 0.5), draft.towards((0.6, 0.75, 0.1)), 3.5, behind=right, ahead=back
        ),
        draft.cut(draft.near((0.0, 0.6 * deep, -0.45 * tall), 0.5), draft.towards((0.0, 0.35, 0.9), 0.15), 3.0, ahead=back),
    ]
    motions = [
        draft.moved(np.array([wide, 0, 0]), (0.7, -0.7, 0.0), 0.45),
        draft.moved(np.array([-wide, 0, 0]), (-0.7, -0.7, 0.0), 0.45),
        Motion(shift_mm=vector(draft.towards((0.0, 1.0, 0.1), 0.1) * draft.severity.displacement_mm)),
    ]
    stays = [(0.0, 0.0, -tall), (0.55 * wide, 0.1 * deep, -0.9 * tall), (-0.55 * wide, 0.1 * deep, -0.9 * tall)]
    fences = [*_behind_the_body(draft), *(np.array(place) for place in stays)]
    fracture = draft.fracture("burst", "middle", cuts, motions, fences)
    return replace(fracture, crush=_crush(draft, lost, 0.55 * lost))


def teardrop(draft: Draft) -> Fracture:
    """Samples a triangular piece of the lower front corner of the body (Schneider and Kahn 1956)."""
    wide, deep, tall = draft.sites.half_mm
    site = draft.near((draft.rng.normal(0, 1.0), -0.45 * deep, -0.4 * tall), 0.6)
    cut = draft.cut(site, draft.towards((0.0, -0.85, -0.5), 0.12), 3.5)
    motion = draft.moved(site, (0.0, -0.8, -0.5))
    stays = [(0.0, 0.0, 0.5 * tall), (0.6 * wide, 0.2 * deep, 0.0), (-0.6 * wide, 0.2 * deep, 0.0)]
    fences = [*_behind_the_body(draft), *(np.array(place) for place in stays)]
    return draft.fracture("teardrop", "middle", [cut], [motion], fences)


def facet(draft: Draft) -> Fracture:
    """Samples a fractured tip of an articular process, upper more often than lower."""
    side = draft.side()
    up = draft.rng.random() < 0.7
    tip = (draft.sites.facet_up if up else draft.sites.facet_down)[side]
    pillar = draft.sites.pillar[side]
    along = (tip - pillar) / max(float(np.linalg.norm(tip - pillar)), 1e-6)
    site = draft.near(tip - along * float(draft.rng.uniform(4.0, 6.0)), 0.5)
    cut = draft.cut(site, draft.towards(along, 0.2), 4.0)
    way = (0.0, -0.5, 0.7) if up else (0.0, 0.4, -0.8)
    fences = [draft.sites.pedicle[side], draft.sites.transverse[side], draft.sites.lamina[side], np.zeros(3)]
    return draft.fracture("facet", side, [cut], [draft.moved(site, way, 0.9)], fences)


def lateral_mass(draft: Draft) -> Fracture:
    """Samples a fracture line through an articular pillar, steep or across, or one on either side of it that leaves it floating."""
    side = draft.side()
    pillar = draft.sites.pillar[side]
    if draft.rng.random() < 0.25:
        before, behind = draft.sites.pedicle[side], 0.6 * draft.sites.lamina[side] + 0.4 * pillar
        cuts = [
            draft.cut(draft.near(before, 0.6), draft.towards(pillar - before), 4.0),
            draft.cut(draft.near(behind, 0.6), draft.towards(pillar - behind), 4.0),
        ]
        fences = [0.6 * draft.sites.transverse[side] + 0.4 * before, np.zeros(3), draft.sites.arch]
        return draft.fracture("lateral_mass", side, cuts, [draft.moved(pillar, (side, 0.3, -0.3), 0.7)], fences)
    steep = draft.rng.random() < 0.5
    site = draft.near(pillar, 1.2)
    normal = draft.towards((side * 0.95, 0.2, 0.1) if steep else (0.1 * side, 0.7, 0.6), 0.2)
    fracture = draft.fracture("lateral_mass", side, [draft.cut(site, normal)], [draft.moved(site, (side * 0.6, 0.5, -0.4), 0.6)])
    return draft.local(fracture, 15.0)


def pedicle(draft: Draft) -> Fracture:
    """Samples a fracture line through a pedicle, between body and pillar."""
    side = draft.side()
    site = draft.near(draft.sites.pedicle[side], 0.7)
    cut = draft.cut(site, draft.towards(draft.sites.pillar[side] - site), 4.0)
    return draft.local(draft.fracture("pedicle", side, [cut], [draft.moved(site, (side * 0.6, 0.8, 0.0), 0.5)]), 12.0)


def lamina(draft: Draft) -> Fracture:
    """Samples a fractured lamina on one side, or both with the spinous process free between them."""
    if draft.rng.random() < 0.25:
        cuts = [_lamina_cut(draft, side) for side in (LEFT, RIGHT)]
        return draft.fracture("lamina", "both", cuts, [draft.moved(draft.sites.arch, (0.0, 0.9, 0.2), 0.8)])
    side = draft.side()
    cut = _lamina_cut(draft, side)
    moved = draft.moved(np.array(cut.site_mm), (-0.3 * side, 0.9, 0.0), 0.6)
    return draft.local(draft.fracture("lamina", side, [cut], [moved]), 12.0)


def spinous_process(draft: Draft) -> Fracture:
    """Samples a fractured spinous process; its tip sinks (clay-shoveler's fracture, most at C6 and C7)."""
    along = draft.sites.spinous - draft.sites.arch
    along[0] = 0.0
    site = draft.near(draft.sites.arch + along * float(draft.rng.uniform(0.3, 0.75)), 0.8)
    cut = draft.cut(site, draft.towards(along, 0.25), 5.0)
    fences = [draft.sites.facet_down[side] for side in (LEFT, RIGHT)]
    return draft.fracture("spinous_process", "middle", [cut], [draft.moved(site, (0.0, 0.6, -0.8))], fences)


def transverse_process(draft: Draft) -> Fracture:
    """Samples a fractured transverse process, at its root or near its tip."""
    side = draft.side()
    tip, pillar = draft.sites.transverse[side], draft.sites.pillar[side]
    root = 0.5 * pillar + 0.5 * draft.sites.half_mm * (side, 0, 0)
    site = draft.near(root + (tip - root) * float(draft.rng.uniform(0.5, 0.75)), 0.7)
    cut = draft.cut(site, draft.towards((side, -0.35, 0.0), 0.2), 4.0)
    wide, deep, _ = draft.sites.half_mm
    body = [np.array([side * 0.8 * wide, y, 0.0]) for y in (0.0, -0.5 * deep, 0.6 * deep)] if draft.level > Level.C1 else []
    fences = [beside(pillar, side * 3, 2), draft.sites.facet_up[side], draft.sites.facet_down[side], *body]
    return draft.fracture("transverse_process", side, [cut], [draft.moved(site, (side * 0.7, -0.2, -0.7), 0.9)], fences)


def _lamina_cut(draft: Draft, side: int) -> Cut:
    """Samples a cut across a lamina, from the pillar towards the spinous process."""
    way = draft.sites.arch - draft.sites.pillar[side]
    return draft.cut(draft.near(draft.sites.lamina[side], 1.0), draft.towards((way[0], 0.8 * way[1], 0.0)), 4.0)


def _crush(draft: Draft, front_mm: float, back_mm: float) -> Crush:
    wide, deep, tall = (float(n) for n in draft.sites.half_mm)
    lean = float(np.clip(draft.rng.normal(0, 0.5), -1, 1))
    return Crush((wide, deep, tall), float(front_mm), float(back_mm), lean, int(draft.rng.integers(1 << 20)))


def _behind_the_body(draft: Draft) -> list[Site]:
    """Returns what does not belong to the body: pedicles, transverse processes, and the arch."""
    sites = draft.sites
    beside = [part[side] for part in (sites.pedicle, sites.transverse, sites.lamina) for side in (LEFT, RIGHT)]
    return [*beside, sites.arch]
