"""Samples which foreign objects a patient brings to the scanner, and where they lie. Their shares are our choice."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from cspine.anatomy import Level
from cspine.phantoms.model.hardware.devices import Collar, CouchTop, Crowns, HardwareDevice, Implant, Slab, Tube
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.injuries.sites import LEFT, RIGHT, Sites, beside, find_sites
from cspine.phantoms.model.neck import Neck, PlacedBone
from cspine.phantoms.model.shapes import Capsule, ImplicitShape, Moved, Sampled
from cspine.phantoms.model.surroundings import Teeth
from cspine.phantoms.model.tissue import Tissue

SHARES = {
    "endotracheal_tube": 0.12,
    "gastric_tube": 0.7,
    "dental_metal": 0.45,
    "collar": 0.35,
    "anterior_plate": 0.015,
    "posterior_screws": 0.01,
}
"""How often; a gastric tube, of those with an endotracheal one. A couch top is always there, if rarely in view."""


def add_hardware(rng: np.random.Generator, neck: Neck) -> Neck:
    """Returns the same neck with what it brings."""
    devices: list[HardwareDevice] = [_couch_top(rng, neck.tissue)]
    if rng.random() < SHARES["endotracheal_tube"]:
        devices.append(endotracheal_tube(rng, neck))
        if rng.random() < SHARES["gastric_tube"]:
            devices.append(gastric_tube(rng, neck.tissue))
    if rng.random() < SHARES["collar"]:
        devices.append(collar(rng, neck))
    if rng.random() < SHARES["anterior_plate"]:
        devices.extend(anterior_plate(rng, neck))
    elif rng.random() < SHARES["posterior_screws"]:
        devices.append(posterior_screws(rng, neck))
    if rng.random() < SHARES["dental_metal"]:
        neck = dental_metal(rng, neck)
    return replace(neck, hardware=tuple(devices))


def endotracheal_tube(rng: np.random.Generator, neck: Neck) -> Tube:
    """Returns a tube from the trachea through the throat, over the tongue and between the teeth."""
    tissue, mouth = neck.tissue, _mouth(neck)
    path = _down_the_airway(tissue, mouth[2] - 12, tissue.throat_mm - rng.uniform(60, 85), rng.normal(0, 1.0, 2))
    bend = beside((path[0] * 3 + mouth) / 4, z=6.0)
    outside = beside(mouth, rng.normal(0, 5), -45.0, rng.normal(-8, 6))
    outer, wall, wall_hu = (float(rng.uniform(*ends)) for ends in ((4.6, 5.4), (1.1, 1.5), (120, 260)))
    whole = np.concatenate([smooth_path([outside, mouth, bend, path[0]]), path[1:]])
    return Tube("endotracheal_tube", whole, outer, outer - wall, wall_hu, -995.0, 1300.0)


def gastric_tube(rng: np.random.Generator, tissue: Tissue) -> Tube:
    """Returns a tube from the nose behind the windpipe into the gullet."""
    path = _down_the_airway(tissue, tissue.head.centre[2] + 8, tissue.throat_mm - 150, np.array([0.0, 0.0]))
    depth = np.interp(path[:, 2], tissue.course.airway_heights_mm, tissue.course.airway_mm[:, 3])
    low = np.clip((tissue.throat_mm + 15 - path[:, 2]) / 20, 0, 1)
    path[:, 0] += 4.0 * low + rng.choice([-1, 1]) * 3.5 * (1 - low)
    path[:, 1] += (depth + 4.5) * low + np.maximum(depth - 3.0, 0) * (1 - low)
    outer = float(rng.uniform(2.2, 2.9))
    return Tube("gastric_tube", path, outer, outer - 0.9, float(rng.uniform(100, 250)), float(rng.choice([-950.0, 10.0])), 1500.0)


def collar(rng: np.random.Generator, neck: Neck) -> Collar:
    """Returns a collar from the chest to the chin."""
    centres = neck.centres_mm
    low, high = centres["C7"][2] + rng.uniform(-15, 5), centres["C2"][2] + rng.uniform(-12, 6)
    return Collar(
        tissue=neck.tissue,
        heights_mm=(float(low), float(max(high, low + 50))),
        gap_mm=float(rng.uniform(0.5, 5)),
        foam_mm=float(rng.uniform(4, 9)),
        shell_mm=float(rng.uniform(1.5, 3.0)),
        foam_hu=float(rng.uniform(-940, -800)),
        shell_hu=float(rng.uniform(-120, 150)),
    )


def anterior_plate(rng: np.random.Generator, neck: Neck) -> list[Implant]:
    """Returns a plate on the front of two or three bodies, two screws in the uppermost and the lowest, a cage in each disc."""
    upper, lower = _stretch(rng, (Level.C4, Level.C5, Level.C6), 2)
    bones = [neck.bone(Level(n).name) for n in range(upper, lower + 1)]
    sites = [_sites(bone) for bone in bones]
    metal: list[ImplicitShape] = []
    places = [_front(bone, own, height) for bone, own, height in zip(bones, sites, _heights(len(bones)), strict=True)]
    for start, end in pairwise(places):
        metal.append(Moved(Slab((8.0, 1.1, float(np.linalg.norm(end - start)) / 2 + 2.5)), _along(start, end, bones[0])))
    for bone, own, tilt in ((bones[0], sites[0], 0.2), (bones[-1], sites[-1], -0.2)):
        start = _front(bone, own, 0.0 if tilt > 0 else -0.1)
        for side in (LEFT, RIGHT):
            way = bone.pose.turn @ np.array([-0.12 * side, 1.0, tilt])
            head = start + bone.pose.turn @ np.array([side * 4.8, -0.8, 0.0])
            metal.append(Capsule(vector(head), vector(head + 14.0 * way / np.linalg.norm(way)), 1.8))
            metal.append(Capsule(vector(head), vector(head + 0.6 * way), 3.0))
    cages: list[ImplicitShape] = []
    for above, below in pairwise(bones):
        middle = (above.pose.centre + below.pose.centre) / 2
        frame = np.eye(4)
        frame[:3, :3], frame[:3, 3] = below.pose.turn, middle
        cages.append(Moved(Slab((6.5, 6.0, 3.2), 1.0), frame))
    density = float(rng.uniform(4500, 8000))
    return [Implant("anterior_cage", tuple(cages), float(rng.uniform(150, 600))), Implant("anterior_plate", tuple(metal), density)]


def posterior_screws(rng: np.random.Generator, neck: Neck) -> Implant:
    """Samples screws in the lateral masses of two to four levels, and a rod on each side."""
    upper, lower = _stretch(rng, (Level.C3, Level.C4, Level.C5), 3)
    metal: list[ImplicitShape] = []
    for side in (LEFT, RIGHT):
        heads = []
        for number in range(upper, lower + 1):
            bone = neck.bone(Level(number).name)
            pillar = _sites(bone).pillar[side]
            head = bone.pose.to_world(beside(pillar, -1.5 * side, 7.5, -1.0))
            way = bone.pose.turn @ np.array([0.4 * side, -0.85, 0.35])
            metal.append(Capsule(vector(head), vector(head + 15.0 * way / np.linalg.norm(way)), 1.75))
            metal.append(Capsule(vector(head), vector(head - 5.0 * way), 3.6))
            heads.append(head - 4.0 * way)
        metal.extend(Capsule(vector(a), vector(b), 1.75) for a, b in pairwise(heads))
    return Implant("posterior_screws", tuple(metal), float(rng.uniform(4500, 8000)))


def dental_metal(rng: np.random.Generator, neck: Neck) -> Neck:
    """Adds crowns and fillings in one or both jaws."""
    for name in ("skull", "jaw"):
        bone = neck.bone(name)
        rows = [change for change in bone.changes if isinstance(change, Teeth)]
        if not rows or rng.random() < 0.3:
            continue
        row = rows[0]
        count = int(rng.integers(1, 5))
        teeth = tuple(int(n) for n in rng.choice([-7, -6, -5, -4, -3, 2, 3, 4, 5, 6], size=count, replace=False))
        tall = float(rng.uniform(2.5, 6.0))
        edge = row.low_mm[2] if name == "skull" else row.high_mm[2]
        heights = (edge, edge + tall) if name == "skull" else (edge - tall - 1.5, edge)
        crowns = Crowns(row.low_mm, row.high_mm, teeth, heights, float(rng.uniform(3500, 8000)))
        neck = neck.with_bone(replace(bone, changes=(*bone.changes, crowns)))
    return neck


def _couch_top(rng: np.random.Generator, tissue: Tissue) -> CouchTop:
    """Returns a couch top behind the head and the chest."""
    course = tissue.course
    back = max(float(tissue.head.centre[1]) + 84, float(course.canal_mm[:, 1].max()) + 88) + rng.uniform(3, 30)
    middle = (float(course.canal_mm[:, 0].mean() + rng.normal(0, 8)), float(back))
    return CouchTop(middle, float(rng.uniform(500, 1500)), float(rng.uniform(-200, 50)))


def _down_the_airway(tissue: Tissue, top_mm: float, bottom_mm: float, aside_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns world points along the middle of the airway, from the head to the chest."""
    course = tissue.course
    heights = np.arange(top_mm, bottom_mm, -6.0)
    x, y = (np.interp(heights, course.airway_heights_mm, course.airway_mm[:, k]) for k in range(2))
    return np.stack([x + aside_mm[0], y + aside_mm[1], heights], axis=1)


def _mouth(neck: Neck) -> NDArray[np.float64]:
    """Returns the world place of the lower edge of the upper front teeth."""
    skull = neck.bone("skull")
    row = next(change for change in skull.changes if isinstance(change, Teeth))
    return skull.pose.to_world(np.array([(row.low_mm[0] + row.high_mm[0]) / 2, row.low_mm[1] + 4, row.low_mm[2] - 4]))


def smooth_path(places: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Returns a smooth line through some places, ``(n, 3)``."""
    at = np.linspace(0, len(places) - 1, 6 * len(places))
    return np.asarray(CubicSpline(np.arange(len(places)), np.array(places))(at))


def _stretch(rng: np.random.Generator, uppermost: Sequence[Level], most: int) -> tuple[int, int]:
    upper = int(uppermost[int(rng.integers(len(uppermost)))])
    return upper, min(upper + int(rng.integers(1, most + 1)), int(Level.C7))


def _heights(count: int) -> list[float]:
    """Returns where along the height of each body a plate passes: it ends within the outer two."""
    return [0.25, *[0.0] * (count - 2), -0.25]


def _sites(bone: PlacedBone) -> Sites:
    shape = bone.shape
    if not isinstance(shape, Sampled):
        raise TypeError(f"{bone.name} is not a vertebra of an anatomy")
    return bone.moved_sites(find_sites(Level[bone.name], shape.bone))


def _front(bone: PlacedBone, sites: Sites, height: float) -> NDArray[np.float64]:
    front = beside(sites.front, y=-0.8, z=height * 2 * sites.half_mm[2])
    return bone.pose.to_world(front)


def _along(start: NDArray[np.float64], end: NDArray[np.float64], bone: PlacedBone) -> NDArray[np.float64]:
    """Returns a frame between two places whose z runs along them and whose x runs across the bone."""
    z = (start - end) / np.linalg.norm(start - end)
    y = np.cross(z, bone.pose.turn[:, 0])
    y /= np.linalg.norm(y)
    frame = np.eye(4)
    frame[:3, 0], frame[:3, 1], frame[:3, 2] = np.cross(y, z), y, z
    frame[:3, 3] = (start + end) / 2
    return frame


def kinds(neck: Neck) -> tuple[str, ...]:
    """Returns what a neck brings, named."""
    crowned = any(isinstance(change, Crowns) for bone in neck.bones for change in bone.changes)
    return (*(device.kind for device in neck.hardware), *(("dental_metal",) if crowned else ()))
