"""Samples what a patient lies on and is held with: boards, foam, masks with their frames; tubes and cables beside the body."""

from itertools import pairwise

import numpy as np

from cspine.phantoms.model.hardware.devices import FaceMask, HardwareDevice, Slab, Support, Tube
from cspine.phantoms.model.hardware.placement import smooth_path
from cspine.phantoms.model.injuries.draft import vector
from cspine.phantoms.model.neck import Neck
from cspine.phantoms.model.shapes import Capsule, Ellipsoid, ImplicitShape, Moved
from cspine.phantoms.model.tissue import Tissue
from cspine.phantoms.model.variation import SurroundingShares


def sample_supports(rng: np.random.Generator, neck: Neck, shares: SurroundingShares) -> tuple[HardwareDevice, ...]:
    """Samples what lies under, over and beside a neck."""
    uniforms, devices = rng.random(3), list[HardwareDevice]()
    if uniforms[0] < shares.headrest:
        devices += headrest(rng, neck)
    if uniforms[1] < shares.mask_frame:
        devices += mask_and_frame(rng, neck)
    if uniforms[2] < shares.external_tubes:
        devices += [external_tube(rng, neck) for _ in range(int(rng.integers(1, 4)))]
    return tuple(devices)


def headrest(rng: np.random.Generator, neck: Neck) -> list[HardwareDevice]:
    """Returns a board under head and chest, and a foam wedge or roll that fills the hollow of the nape."""
    tissue, heights = neck.tissue, {name: place[2] / neck.scale for name, place in neck.centres_mm.items()}
    x, back = _back(tissue)
    middle = (x, back + rng.uniform(4, 20), heights["C4"] + rng.uniform(-10, 60))
    half = (float(rng.uniform(90, 230)), float(rng.uniform(3, 12)), 260.0)
    nape = (x, middle[1] - rng.uniform(5, 30), heights["C5"] + rng.uniform(-15, 40))
    roll = Ellipsoid(vector(nape), (float(rng.uniform(60, 120)), float(rng.uniform(30, 70)), float(rng.uniform(30, 120))))
    board = Support("board", (_slab(middle, half),), float(rng.choice([-850.0, -300.0, 60.0])))
    return [Support("headrest", (roll,), float(rng.uniform(-975, -850))), board]


def mask_and_frame(rng: np.random.Generator, neck: Neck) -> list[HardwareDevice]:
    """Returns a mask from chest or chin to the forehead, pinned to a frame around the head."""
    tissue, heights = neck.tissue, {name: place[2] / neck.scale for name, place in neck.centres_mm.items()}
    head = tissue.head.centre
    low = rng.uniform(heights["T2"], heights["C3"])
    behind = float(head[1] + rng.uniform(-5, 45))
    mask = FaceMask(
        tissue=tissue,
        heights_mm=(float(low), float(head[2] + rng.uniform(60, 150))),
        behind_mm=behind,
        gap_mm=float(rng.uniform(0.3, 4)),
        shell_mm=float(rng.uniform(1.5, 3.2)),
        shell_hu=float(rng.uniform(-350, 120)),
    )
    wide, top = rng.uniform(105, 160), head[2] + rng.uniform(150, 190)
    corners = [(-wide, low), (-wide, top - 60), (-0.6 * wide, top), (0.6 * wide, top), (wide, top - 60), (wide, low)]
    places = [np.array([head[0] + across, behind + 4, height]) for across, height in corners]
    radius = float(rng.uniform(3, 8))
    rods = tuple(Capsule(vector(a), vector(b), radius) for a, b in pairwise(places))
    return [mask, Support("mask_frame", rods, float(rng.uniform(-250, 250)))]


def external_tube(rng: np.random.Generator, neck: Neck) -> Tube:
    """Returns a breathing tube, a line or a cable from beside the chest past the neck or the face."""
    tissue, side = neck.tissue, float(rng.choice([-1, 1]))
    x, y = tissue.course.canal_mm.mean(axis=0)
    low, high = tissue.course.heights_mm[0], float(tissue.head.centre[2])
    places = [
        np.array([x + side * rng.uniform(20, 220), y - rng.uniform(60, 170), low - 120]),
        np.array([x + side * rng.uniform(60, 170), y - rng.uniform(20, 120), rng.uniform(low, high)]),
        np.array([x + side * rng.uniform(-40, 150), y - rng.uniform(60, 150), high + rng.uniform(-20, 60)]),
        np.array([x + side * rng.uniform(60, 260), y - rng.uniform(-60, 160), high + 180]),
    ]
    path = smooth_path(places)
    if rng.random() < 0.4:
        return Tube("cable", path, float(rng.uniform(1.2, 2.6)), 0.0, float(rng.uniform(200, 2500)), -1000.0, outside=True)
    outer = float(rng.uniform(2.0, 12.0))
    wall, wall_hu = float(rng.uniform(0.8, 1.6)), float(rng.uniform(0, 250))
    return Tube("external_tube", path, outer, outer - wall, wall_hu, -1000.0, outside=True)


def _back(tissue: Tissue) -> tuple[float, float]:
    """Returns world x of the neck's middle, and world y of the back of head and neck."""
    course = tissue.course
    back = max(float(tissue.head.centre[1]) + 84, float(course.canal_mm[:, 1].max()) + tissue.depth_mm)
    return float(course.canal_mm[:, 0].mean()), back


def _slab(middle: tuple[float, float, float], half: tuple[float, float, float]) -> ImplicitShape:
    frame = np.eye(4)
    frame[:3, 3] = middle
    return Moved(Slab(half), frame)
