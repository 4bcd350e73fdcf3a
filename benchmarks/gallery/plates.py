"""Sheets of the gallery, and what each shows."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.gallery import grafts, subjects
from benchmarks.gallery.planes import along, leaning, section, turned
from benchmarks.gallery.sheet import Row, Sheet
from benchmarks.gallery.subjects import Painter, Shown
from cspine.anatomy import CERVICAL, Level
from cspine.geometry import Grid, Vector
from cspine.imaging import sample
from cspine.phantoms import render
from cspine.phantoms.ct.bones import render_bones
from cspine.phantoms.model.degeneration import JOINTS, Wear, sample_degeneration
from cspine.phantoms.model.hardware.devices import Crowns
from cspine.phantoms.model.hardware.placement import (
    anterior_plate,
    collar,
    dental_metal,
    endotracheal_tube,
    gastric_tube,
    posterior_screws,
)
from cspine.phantoms.model.head_displacement import displace_head
from cspine.phantoms.model.injuries import KINDS, Injury, sample_injury
from cspine.phantoms.model.injuries.pieces import Fracture
from cspine.phantoms.model.injuries.sites import beside
from cspine.phantoms.model.lookalikes import SHARES, sample_lookalike
from cspine.phantoms.model.neck import Neck
from cspine.volume import Volume

SEVERITIES = (0.1, 0.5, 1.0)
_LEVELS = tuple(level.name for level in CERVICAL)
_SOFT_HU = 45.0
_SIDE_MM = 44.0
_PLANES = ("axial", "sagittal")
_LOOKALIKE_PLANES = {
    "posterior_arch_cleft": ("axial", "coronal"),
    "anterior_arch_cleft": ("axial", "coronal"),
    "os_odontoideum": ("coronal", "sagittal"),
    "dens_tip_ossicle": ("coronal", "sagittal"),
    "synchondrosis": ("coronal", "sagittal"),
}
"""Planes that cross them, where axial and sagittal ones do not."""


def sheets(data: Path) -> Iterator[tuple[str, Sheet]]:
    """Yields every sheet with its name."""
    phantoms = [
        subjects.scanned_like_full_head(replace(subjects.phantom(seed), hardware=()), f"phantom {seed}") for seed in (15, 14, 11)
    ]
    yield "sagittal", _sagittal(data, phantoms)
    yield "axial", _axial([subjects.full_head(data), *phantoms[:2]])
    yield "fractures-c1", Sheet([_fracture(Level.C1, kind) for kind in KINDS[Level.C1]])
    yield "fractures-c2", Sheet([_fracture(Level.C2, kind) for kind in KINDS[Level.C2]])
    yield "fractures-c3-c7", Sheet([_fracture(_level(kind), kind) for kind in KINDS[Level.C5]])
    yield "severity", _severity()
    yield "lookalikes", _lookalikes()
    yield "wear", _wear()
    yield "hardware", _hardware()
    yield "grafts", grafts.fractures()
    yield "graft-controls", grafts.controls()


def _sagittal(data: Path, phantoms: list[Shown]) -> Sheet:
    """Returns the middle of the spine, and the facets beside it; faces lie outside."""
    real = subjects.full_head(data)
    size = (112.0, 84.0)
    tiles: list[NDArray[np.float32] | None] = []
    facets: list[NDArray[np.float32] | None] = []
    names = []
    for shown in (real, *phantoms):
        top, low = (np.array(shown.centres_mm[name]) for name in ("C1", list(shown.centres_mm)[-1] if shown is real else "C6"))
        middle = beside((top + low) / 2, y=12.0)
        for side, out in ((0.0, tiles), (19.0, facets)):
            out.append(section(shown.paint, beside(middle, side), "sagittal", size, 0.6))
        names.append(shown.name)
    spine = subjects.whole_spine(data)
    middle = np.array(subjects.WHOLE_SPINE_MM)
    tiles.append(turned(spine, leaning(subjects.WHOLE_SPINE_LEAN_DEG), middle, "sagittal", size, 0.6))
    names.append("real: whole spine")
    return Sheet([Row("Midsagittal", tiles, names), Row("Through the facets", [*facets, None], [*names[:-1], ""])])


def _axial(shown: list[Shown]) -> Sheet:
    """Returns sections in the plane of each vertebra, where that is known."""
    rows = []
    for one in shown:
        tiles: list[NDArray[np.float32] | None] = []
        for name in _LEVELS:
            axes = one.turns.get(name, np.eye(3))
            centre = np.array(one.centres_mm[name]) + 12.0 * axes[:, 1] if name in one.centres_mm else None
            tiles.append(None if centre is None else turned(one.paint, axes, centre, "axial", (72.0, 78.0), 0.7))
        rows.append(Row(one.name, tiles, _LEVELS))
    return Sheet(rows)


def _level(kind: str) -> Level:
    """Returns the level at which a kind of C3 to C7 is shown: where it is at home."""
    return Level.C7 if kind in ("spinous_process", "transverse_process") else Level.C5


def _fracture(level: Level, kind: str) -> Row:
    """Returns one kind at three severities, in the two planes that cross it most squarely."""
    neck, opened_mm = _plain(), None
    tiles, captions = [], []
    for severity in SEVERITIES:
        injury = sample_injury(np.random.default_rng(5), level, subjects.sites_of(neck, level), kind, severity)
        broken = neck.with_bone(replace(neck.bone(level.name), injuries=(injury,)))
        broken = replace(broken, bones=tuple(displace_head(broken.bones)))
        planes = _across(injury)
        second_mm = _beside_the_split(injury)
        if kind == "lamina":
            second_mm = opened_mm = opened_mm or _opened_mm(neck, broken, level, second_mm)
        tiles.extend(_two_planes(broken, level, injury.facts.site_mm, second_mm, planes))
        facts = injury.facts
        captions.extend([f"{severity}: gap {facts.gap_mm:.1f} mm", f"moved {facts.displacement_mm:.1f} mm"])
    return Row(f"{level.name} {_called(kind)}: {' and '.join(planes)}", tiles, captions)


def _across(injury: Injury) -> tuple[str, str]:
    """Says whether a section crosses a fracture line, which is seen there, and is a blot where the section runs in it."""
    if not isinstance(injury, Fracture) or injury.facts.kind == "burst":
        return _PLANES
    within = np.mean(np.square([cut.normal for cut in injury.cuts]), axis=0)  # along x, y, z
    blot = ("sagittal", "coronal", "axial")[int(np.argmax(within))]
    first, second = (plane for plane in ("axial", "coronal", "sagittal") if plane != blot)
    return (first, second) if blot != "coronal" else _PLANES


def _beside_the_split(injury: Injury) -> Vector:
    """Returns where a sagittal section shows the fracture: through its first cut, but not within a cut that runs in its plane."""
    if not isinstance(injury, Fracture) or len(injury.cuts) == 1:
        return injury.facts.site_mm
    x, y, z = injury.cuts[0].site_mm
    return (x + 4.0, y, z) if injury.facts.kind == "burst" else (x, y, z)


def _opened_mm(neck: Neck, broken: Neck, level: Level, near_mm: Vector) -> Vector:
    """Returns where bone gives way to a fracture line near a point: a thin lamina may pass a cut beside the middle of the cut."""
    pose = neck.bone(level.name).pose
    grid = Grid.upright(pose.to_world(np.asarray(near_mm)), (48, 48, 48), (0.25, 0.25, 0.25))
    lost = _bones_only(neck, level)(grid) - _bones_only(broken, level)(grid)
    places = (grid.world(np.argwhere(lost > 0.5 * lost.max())) - pose.centre) @ pose.own_matrix.T
    nearest = places[np.argmin(np.linalg.norm(places - near_mm, axis=1))]
    x, y, z = np.median(places[np.linalg.norm(places - nearest, axis=1) < 5], axis=0)
    return float(x), float(y), float(z)


def _two_planes(
    neck: Neck, level: Level, site_mm: Vector, second_mm: Vector | None = None, planes: tuple[str, str] = _PLANES
) -> list[NDArray[np.float32]]:
    pose, paint = neck.bone(level.name).pose, _bones_only(neck, level)
    first, second = (pose.to_world(np.asarray(place)) for place in (site_mm, second_mm or site_mm))
    return [along(paint, pose, place, plane, _SIDE_MM) for place, plane in zip((first, second), planes, strict=True)]


def _bones_only(neck: Neck, level: Level) -> Painter:
    """Returns a vertebra and its neighbours in even soft tissue."""
    near = {f"C{level + step}" for step in (-1, 0, 1)} | {"T1" if level is Level.C7 else "skull"}
    small = replace(neck, bones=tuple(bone for bone in neck.bones if bone.name in near))

    def paint(grid: Grid) -> NDArray[np.float32]:
        image = render_bones(small, grid)
        return np.asarray(_SOFT_HU * (1 - image.share) + image.density, dtype=np.float32)

    return paint


def _severity() -> Sheet:
    """Returns the same fracture as a scanner shows it, from a hairline on, with a soft and with a sharp kernel."""
    neck, rows = _plain(), []
    for level, kind, plane in ((Level.C2, "odontoid_type_2", "sagittal"), (Level.C6, "lamina", "axial")):
        for sharpness, kernel in ((0.15, "soft kernel"), (0.9, "sharp kernel")):
            tiles, captions = [], []
            for severity in (0.0, 0.2, 0.4, 0.6, 0.9):
                injury = sample_injury(np.random.default_rng(5), level, subjects.sites_of(neck, level), kind, severity)
                broken = neck.with_bone(replace(neck.bone(level.name), injuries=(injury,)))
                broken = replace(broken, bones=tuple(displace_head(broken.bones)))
                pose = broken.bone(level.name).pose
                centre = pose.to_world(np.asarray(injury.facts.site_mm))
                grid = Grid.upright(centre, (64, 128, 128), (0.625, 0.35, 0.35))
                volume = subjects.scanned(broken, grid, sharpness)
                paint = _sampler(volume)
                tiles.append(section(paint, centre, plane, (38.0, 42.0), 0.35))
                captions.append(f"severity {severity}: {injury.facts.gap_mm:.2f} mm")
            rows.append(Row(f"{level.name} {_called(kind)}, {kernel}, 0.35 x 0.35 x 0.625 mm", tiles, captions))
    return Sheet(rows)


def _sampler(volume: Volume) -> Painter:
    return lambda grid: sample(volume, grid).hu


def _lookalikes() -> Sheet:
    """Returns each kind in two planes, three in a row."""
    neck = _plain()
    shown: list[tuple[str, list[NDArray[np.float32]]]] = []
    for level in (Level.C1, Level.C2, Level.C6):
        for kind in SHARES[level]:
            if any(_called(kind) in name for name, _ in shown):
                continue
            found = sample_lookalike(np.random.default_rng(4), level, subjects.sites_of(neck, level), kind)
            changed = neck.with_bone(replace(neck.bone(level.name), changes=(found,)))
            planes = _LOOKALIKE_PLANES.get(kind, _PLANES)
            shown.append((f"{level.name} {_called(kind)}", _two_planes(changed, level, found.facts.site_mm, None, planes)))
    rows = []
    for first in range(0, len(shown), 3):
        part = shown[first : first + 3]
        captions = [text for name, _ in part for text in (name, "")]
        rows.append(Row("", [tile for _, tiles in part for tile in tiles], captions))
    return Sheet(rows)


def _wear() -> Sheet:
    """Returns the same neck at three ages."""
    neck, tiles, captions = _plain(), [], []
    for share in (0.1, 0.55, 1.0):
        wear = Wear(share, dict.fromkeys(JOINTS, share), dict.fromkeys(JOINTS, share))
        worn = neck
        for level in CERVICAL:
            changes = sample_degeneration(np.random.default_rng(int(level)), wear, level, subjects.sites_of(neck, level))
            worn = worn.with_bone(replace(worn.bone(level.name), changes=changes))
        middle = beside(np.array(neck.centres_mm["C4"]), y=10.0)
        for side in (0.0, 18.0):
            tiles.append(section(_painter(worn), beside(middle, side), "sagittal", (118.0, 78.0), 0.6))
            captions.append(f"wear {share}" if not side else "facets")
    return Sheet([Row("Wear", tiles, captions)])


def _hardware() -> Sheet:
    """Returns hardware as a scanner shows it, streaks included."""
    neck, rng = _plain(), np.random.default_rng(3)
    tubes = replace(neck, hardware=(endotracheal_tube(rng, neck), gastric_tube(rng, neck.tissue), collar(rng, neck)))
    plated = replace(neck, hardware=tuple(anterior_plate(rng, neck)))
    screwed = replace(neck, hardware=(posterior_screws(rng, neck),))
    crowned = dental_metal(np.random.default_rng(0), neck)
    heights = {level: neck.centres_mm[level][2] for level in ("C5", "C6")} | {"teeth": _teeth_mm(crowned)}
    shown = (
        ("tubes, collar", tubes, "C6", 0.0, -5.0),
        ("plate", plated, "C5", 0.0, -5.0),
        ("screws", screwed, "C5", 19.0, -5.0),
        ("teeth", crowned, "teeth", 0.0, -35.0),
    )
    sagittal, axial, names = [], [], []
    for name, brought, height, side, forwards in shown:
        c4 = np.array(brought.centres_mm["C4"])
        volume = subjects.scanned(brought, brought.scan_grid((1.25, 0.8, 0.8), 170.0, 55.0, 30.0), 0.5)
        paint = _sampler(volume)
        sagittal.append(section(paint, beside(c4, side, -5.0, 8.0), "sagittal", (140.0, 130.0), 0.8))
        axial.append(section(paint, np.array([c4[0], c4[1] + forwards, heights[height]]), "axial", (130.0, 130.0), 0.8))
        names.append(name)
    return Sheet([Row("Hardware", sagittal[:3], names[:3]), Row("", axial, names)])


def _teeth_mm(neck: Neck) -> float:
    """Returns the world height of the metal in the lower jaw."""
    jaw = neck.bone("jaw")
    crowns = next(change for change in jaw.changes if isinstance(change, Crowns))
    front = np.array([0.0, crowns.low_mm[1] + 15, sum(crowns.heights_mm) / 2])
    return float(jaw.pose.to_world(front)[2])


def _called(kind: str) -> str:
    """Returns a kind in words; the name of a person keeps its capital."""
    return kind.replace("_", " ").replace("jefferson", "Jefferson").replace("schmorl", "Schmorl")


def _painter(neck: Neck) -> Painter:
    return lambda grid: render(neck, grid).volume.hu


def _plain() -> Neck:
    return subjects.bare(subjects.phantom(15))
